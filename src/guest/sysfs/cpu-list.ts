/** Sets of processors as sysfs prints them. */

/** `0-3,8` into numbers. Nothing for text that is none. */
export function parseCpuList(text: string): number[] | undefined {
  const cpus: number[] = [];
  for (const range of text.trim().split(',')) {
    const found = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range);
    if (found === null) return undefined;
    for (let cpu = Number(found[1]); cpu <= Number(found[2] ?? found[1]); cpu++) cpus.push(cpu);
  }
  return cpus;
}

/** All of `count` processors as a list: `0-3`. */
export function cpuListOf(count: number): string {
  return count > 1 ? `0-${count - 1}` : '0';
}

/** As a mask: words of 32 bits, the highest first, which has only as many digits as there are processors. */
export function cpuMask(cpus: readonly number[]): string {
  const count = Math.max(1, ...cpus.map((cpu) => cpu + 1));
  const words = new Uint32Array(Math.ceil(count / 32));
  for (const cpu of cpus) words[cpu >>> 5]! |= 2 ** (cpu & 31);
  const digits = Math.ceil((((count - 1) % 32) + 1) / 4);
  const text = [...words].reverse().map((word, at) => word.toString(16).padStart(at === 0 ? digits : 8, '0'));
  return text.join(',');
}
