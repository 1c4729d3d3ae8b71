/** What /proc says of mounts and swap, as lines; which device holds them is for `usage-block.ts`. */

export interface Mount {
  /** `major:minor` of the file system; major 0 is one without a block device of its own, as btrfs has. */
  number: string;
  point: string;
  type: string;
  source: string;
}

/** More mounts than the kernel allows in one namespace by default (`fs.mount-max`). */
const MOST_LINES = 100_000;
/** The kernel allows fewer than 32. */
const MOST_SWAPS = 4096;

/** `/proc/self/mountinfo`; lines that are none are counted, not kept. */
export function parseMounts(text: string): { mounts: Mount[]; strange: number } {
  const mounts: Mount[] = [];
  let strange = 0;
  const lines = text.split('\n', MOST_LINES);
  if (lines.length === MOST_LINES) strange++;
  for (const line of lines) {
    if (line === '' || line.startsWith('\0')) continue;
    const fields = line.split(' ');
    const dash = fields.indexOf('-', 6);
    const [number, , point] = fields.slice(2, 5);
    const [type, source] = dash < 0 ? [] : fields.slice(dash + 1, dash + 3);
    if (point === undefined || type === undefined || source === undefined || !/^\d+:\d+$/.test(number ?? ''))
      strange++;
    else mounts.push({ number: number!, point: unescapeOctal(point), type, source: unescapeOctal(source) });
  }
  return { mounts, strange };
}

export interface Swap {
  name: string;
  kind: 'partition' | 'file';
}

/** `/proc/swaps`, whose first line is a heading; a text without it is not what the kernel wrote. */
export function parseSwaps(text: string): { swaps: Swap[]; strange: number } {
  const swaps: Swap[] = [];
  const [heading, ...lines] = text.split('\n', MOST_SWAPS);
  let strange = lines.length + 1 === MOST_SWAPS ? 1 : 0;
  if (!/^Filename\b/.test(heading!)) return { swaps, strange: 1 };
  for (const line of lines) {
    if (line === '' || line.startsWith('\0')) continue;
    const [name, kind] = line.split(/\s+/);
    if (name?.startsWith('/') && (kind === 'partition' || kind === 'file'))
      swaps.push({ name: unescapeOctal(name), kind });
    else strange++;
  }
  return { swaps, strange };
}

/** The mount that holds a file: the one with the longest mount point above it, the last of equals. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  let found: Mount | undefined;
  for (const mount of mounts) {
    const below = mount.point === '/' || path === mount.point || path.startsWith(`${mount.point}/`);
    if (below && mount.point.length >= (found?.point.length ?? 0)) found = mount;
  }
  return found;
}

/** Blanks and backslashes in paths are written as three octal digits (`mangle_path`). */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
