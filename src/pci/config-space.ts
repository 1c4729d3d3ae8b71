/** Configuration space bytes, of which some may not have been read: those answer `undefined`, never zero. */

import { InputError } from '../kernel/errors.ts';

/** Largest configuration space (`PCI_CFG_SPACE_EXP_SIZE`). */
export const EXTENDED_SPACE = 4096;
/** Conventional space, where extended capabilities begin (`PCI_CFG_SPACE_SIZE`). */
export const CONVENTIONAL_SPACE = 256;

export class ConfigSpace {
  /** Bytes, or the hex text of a recording until somebody asks: most spaces are decoded once and kept for nobody. */
  #content: Uint8Array | string;
  /** How many bytes were read; the space may be longer. */
  readonly read: number;
  /** Length of the space as the kernel knows it (`cfg_size`: 256 or 4096), where that is known. */
  readonly size: number | undefined;

  /** @param read how far the reader came; bytes between the end of `bytes` and `read` are zero */
  constructor(bytes: Uint8Array, read: number = bytes.length, size?: number) {
    this.#content = bytes;
    this.read = Math.min(Math.max(read, 0), EXTENDED_SPACE);
    this.size = size;
  }

  /**
   * @param place where the text stands, for the message
   * @throws InputError where `text` is not an even number of hex digits, or too many
   */
  static fromHex(text: string, read?: number, size?: number, place = 'config'): ConfigSpace {
    if (text.length > EXTENDED_SPACE * 2) throw new InputError(place, 'more than 4096 bytes');
    if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text)) throw new InputError(place, 'not hex bytes');
    const space = new ConfigSpace(NOTHING, read ?? text.length / 2, size);
    space.#content = text;
    return space;
  }

  byte(at: number): number | undefined {
    return at >= 0 && at < this.read ? (this.#bytes()[at] ?? 0) : undefined;
  }

  /** 16 bits, little endian. */
  word(at: number): number | undefined {
    const low = this.byte(at);
    const high = this.byte(at + 1);
    return low === undefined || high === undefined ? undefined : low | (high << 8);
  }

  /** 32 bits, unsigned, little endian. */
  dword(at: number): number | undefined {
    const low = this.word(at);
    const high = this.word(at + 2);
    return low === undefined || high === undefined ? undefined : low + high * 0x10000;
  }

  /** Every byte that was read is ff: the function did not answer (asleep, gone, not decoded). */
  get silent(): boolean {
    const bytes = this.#bytes();
    if (this.read === 0 || bytes.length < this.read) return false;
    for (let at = 0; at < this.read; at++) if (bytes[at] !== 0xff) return false;
    return true;
  }

  #bytes(): Uint8Array {
    if (typeof this.#content === 'string') this.#content = Buffer.from(this.#content, 'hex');
    return this.#content;
  }
}

const NOTHING = new Uint8Array(0);
