/**
 * The little of Node's Buffer that the model asks for, so that the very same code runs here. Import this before it.
 */

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const utf16 = new TextDecoder('utf-16le', { ignoreBOM: true });
const encoder = new TextEncoder();

class PageBuffer extends Uint8Array {
  static override from(source: unknown, second?: unknown, third?: number): PageBuffer {
    if (typeof source === 'string') return second === 'hex' ? fromHex(source) : fromText(source);
    if (source instanceof ArrayBuffer || source instanceof SharedArrayBuffer)
      return new PageBuffer(source as ArrayBuffer, (second as number | undefined) ?? 0, third);
    return new PageBuffer(source as ArrayLike<number>);
  }

  static isBuffer(value: unknown): boolean {
    return value instanceof PageBuffer;
  }

  static alloc(size: number): PageBuffer {
    return new PageBuffer(size);
  }

  static allocUnsafe(size: number): PageBuffer {
    return new PageBuffer(size);
  }

  static byteLength(text: string): number {
    return encoder.encode(text).length;
  }

  static concat(pieces: readonly Uint8Array[]): PageBuffer {
    const all = new PageBuffer(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    return all;
  }

  override toString(encoding: string = 'utf8', from = 0, to: number = this.length): string {
    const bytes = this.subarray(from, to);
    if (encoding === 'hex') return toHex(bytes);
    if (encoding === 'latin1' || encoding === 'ascii' || encoding === 'binary') return latin(bytes);
    return (encoding === 'utf16le' ? utf16 : utf8).decode(bytes);
  }

  override indexOf(what: number | string, from = 0): number {
    if (typeof what === 'number') return super.indexOf(what, from);
    const bytes = encoder.encode(what);
    for (let at = super.indexOf(bytes[0]!, from); at >= 0; at = super.indexOf(bytes[0]!, at + 1))
      if (matches(this, bytes, at)) return at;
    return -1;
  }

  override lastIndexOf(what: number | string): number {
    if (typeof what === 'number') return super.lastIndexOf(what);
    const bytes = encoder.encode(what);
    for (let at = this.length - bytes.length; at >= 0; at--) if (matches(this, bytes, at)) return at;
    return -1;
  }

  readUInt16LE(at: number): number {
    return this[at]! | (this[at + 1]! << 8);
  }

  readUInt32LE(at: number): number {
    return this.readUInt16LE(at) + this.readUInt16LE(at + 2) * 0x10000;
  }
}

function matches(all: Uint8Array, bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < bytes.length; i++) if (all[at + i] !== bytes[i]) return false;
  return true;
}

function fromText(text: string): PageBuffer {
  const bytes = encoder.encode(text);
  return new PageBuffer(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length);
}

function fromHex(text: string): PageBuffer {
  const bytes = new PageBuffer(text.length >> 1);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += (byte < 16 ? '0' : '') + byte.toString(16);
  return text;
}

function latin(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

(globalThis as { Buffer?: unknown }).Buffer ??= PageBuffer;
