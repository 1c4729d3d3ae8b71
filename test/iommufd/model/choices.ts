/** Random numbers a property test was given, read one after the other; fewer and smaller ones give simpler calls. */

export class Choices {
  readonly #numbers: readonly number[];
  #at = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  /** 0 up to, not including, `below`. */
  next(below: number): number {
    const number = this.#numbers[this.#at % this.#numbers.length] ?? 0;
    this.#at++;
    return (number + Math.floor(this.#at / (this.#numbers.length + 1)) * 7) % below;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.next(from.length)]!;
  }

  /** One time in `many`. */
  rarely(many: number): boolean {
    return this.next(many) === many - 1;
  }
}
