/**
 * Names from a pci.ids file. Nothing is parsed up front: a report needs a few dozen of its 40,000 lines, and each
 * is found by searching the bytes for its number, which takes a fraction of a millisecond.
 */

interface Block {
  name: string;
  /** The lines below the heading, with the line break before each. */
  body: Buffer;
}

export class PciIds {
  readonly #all: Buffer;
  /** From the list of classes on, which stands last. */
  readonly #classes: Buffer;
  readonly #blocks = new Map<string, Block | undefined>();

  /**
   * @param text a pci.ids file, as bytes (faster) or text; lines that are none of its form are never found, nor is
   *   the first, which no pci.ids has an entry on
   */
  constructor(text: string | Uint8Array) {
    this.#all =
      typeof text === 'string' ? Buffer.from(text) : Buffer.from(text.buffer, text.byteOffset, text.length);
    const classes = this.#all.lastIndexOf('\nC 00  ');
    this.#classes = classes < 0 ? this.#all : this.#all.subarray(classes);
  }

  /** @param vendor 16 bits */
  vendorName(vendor: number): string | undefined {
    return this.#vendor(vendor)?.name;
  }

  deviceName(vendor: number, device: number): string | undefined {
    return this.#device(vendor, device)?.name;
  }

  /** Name of a card or board, which a device's maker lists by the ids of the card's maker. */
  subsystemName(vendor: number, device: number, subvendor: number, subdevice: number): string | undefined {
    const block = this.#device(vendor, device);
    return block && nested(block.body, `\t\t${hex(subvendor, 4)} ${hex(subdevice, 4)}`)?.name;
  }

  /**
   * Name of base class and sub-class, as lspci prints it; of the base class alone where the sub-class has none.
   *
   * @param code 24 bits: base class, sub-class, programming interface
   */
  className(code: number): string | undefined {
    return (this.#subclass(code) ?? this.#class(code))?.name;
  }

  #vendor(vendor: number): Block | undefined {
    const heading = hex(vendor, 4);
    return this.#remember(heading, () => nested(this.#all, heading));
  }

  #device(vendor: number, device: number): Block | undefined {
    const heading = `\t${hex(device, 4)}`;
    return this.#remember(hex(vendor, 4) + heading, () => {
      const block = this.#vendor(vendor);
      return block && nested(block.body, heading);
    });
  }

  #class(code: number): Block | undefined {
    const heading = `C ${hex(code >>> 16, 2)}`;
    return this.#remember(heading, () => nested(this.#classes, heading));
  }

  #subclass(code: number): Block | undefined {
    const heading = `\t${hex((code >>> 8) & 0xff, 2)}`;
    return this.#remember(hex(code >>> 16, 2) + heading, () => {
      const block = this.#class(code);
      return block && nested(block.body, heading);
    });
  }

  #remember(key: string, find: () => Block | undefined): Block | undefined {
    if (!this.#blocks.has(key)) this.#blocks.set(key, find());
    return this.#blocks.get(key);
  }
}

const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const COMMENT = 0x23;

/** The line that begins with `heading`, and the deeper lines after it. */
function nested(body: Buffer, heading: string): Block | undefined {
  const start = body.indexOf(`\n${heading}  `) + 1;
  if (start === 0) return undefined;
  const depth = heading.lastIndexOf('\t') + 1;
  const lineEnd = endOfLine(body, start);
  let end = lineEnd;
  while (end < body.length && belongs(body, end + 1, depth)) end = endOfLine(body, end + 1);
  return {
    name: body.toString('utf8', start + heading.length + 2, lineEnd).trim(),
    body: body.subarray(lineEnd, end),
  };
}

/** More tabs than the heading; comments and empty lines stand anywhere. */
function belongs(body: Buffer, at: number, depth: number): boolean {
  const first = body[at];
  if (first === COMMENT || first === NEWLINE || first === RETURN) return true;
  for (let i = 0; i <= depth; i++) if (body[at + i] !== TAB) return false;
  return true;
}

function endOfLine(body: Buffer, from: number): number {
  // Lines are short: stepping over them is faster than one call of indexOf each.
  let at = from;
  while (at < body.length && body[at] !== NEWLINE) at++;
  return at;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
