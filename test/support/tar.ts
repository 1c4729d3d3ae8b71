/** Makes small tar archives, right and wrong ones, for tests of readers. */

export interface TarItem {
  path: string;
  data?: string | Uint8Array;
  link?: string;
  hardLink?: string;
  directory?: boolean;
  /** Raw type flag, for entries that no reader should need. */
  type?: string;
}

export function makeTar(items: readonly TarItem[]): Buffer {
  const blocks = items.flatMap((item) => [header(item), padded(content(item))]);
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** A header block and its content, e.g. a GNU long name or a pax record before an entry. */
export function makeEntry(item: TarItem): Buffer {
  return Buffer.concat([header(item), padded(content(item))]);
}

export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return length + rest;
}

function content(item: TarItem): Buffer {
  return Buffer.from(item.data ?? '');
}

function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

function header(item: TarItem): Buffer {
  const block = Buffer.alloc(512);
  block.write(item.path, 0, 100);
  block.write('0000644\0', 100);
  block.write(`${content(item).length.toString(8).padStart(11, '0')}\0`, 124);
  block.write('        ', 148);
  block.write(item.type ?? typeOf(item), 156);
  block.write(item.link ?? item.hardLink ?? '', 157, 100);
  block.write('ustar\u000000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function typeOf(item: TarItem): string {
  if (item.link !== undefined) return '2';
  if (item.hardLink !== undefined) return '1';
  return item.directory === true ? '5' : '0';
}

/** A sysfs tree of functions below one host bridge; `files` of a function may be anything. */
export function sysfsTar(
  functions: Record<string, Record<string, string | Uint8Array>>,
  more: TarItem[] = [],
): Buffer {
  const items: TarItem[] = [];
  for (const [address, files] of Object.entries(functions)) {
    const dir = `sys/devices/pci0000:00/${address}`;
    items.push({ path: dir, directory: true });
    for (const [name, data] of Object.entries(files)) items.push({ path: `${dir}/${name}`, data });
    items.push({ path: `sys/bus/pci/devices/${address}`, link: `../../../devices/pci0000:00/${address}` });
  }
  return makeTar([...items, ...more]);
}
