/** `KernelVersion:` and which versions of Linux there were. */

const VERSION = /(?<![\w.])v?(\d+)\.(\d+)(?:\.(\d+))?/;

export interface KernelVersion {
  major: number;
  minor: number;
  patch?: number;
  /** As written. */
  text: string;
}

/** The first version in the text. */
export function readVersion(text: string): KernelVersion | undefined {
  const found = VERSION.exec(text);
  if (found === null) return undefined;
  return {
    major: Number(found[1]),
    minor: Number(found[2]),
    ...(found[3] !== undefined && { patch: Number(found[3]) }),
    text: found[0],
  };
}

/** The last minor number of each series that has ended. */
const LAST_MINOR: Readonly<Record<number, number>> = { 1: 3, 2: 6, 3: 19, 4: 20, 5: 19, 6: 19 };
/** The last patch number where the patch number was the release. */
const LAST_PATCH_OF_2: readonly number[] = [40, 132, 26, 51, 37, 75, 39];
/** No series so far went further. */
const MOST_MINORS = 20;

/** Why there never was such a version; `undefined`: there was, or may come to be. */
export function neverReleased({ major, minor, patch }: KernelVersion): string | undefined {
  if (major === 0) return minor > 99 ? `0.${minor} was never released` : undefined;
  const last = LAST_MINOR[major] ?? MOST_MINORS;
  if (minor > last) return `${major}.x ends with ${major}.${last}`;
  const lastPatch = major === 2 ? LAST_PATCH_OF_2[minor] : undefined;
  if (lastPatch === undefined || patch === undefined || patch <= lastPatch) return undefined;
  return `2.${minor}.x ends with 2.${minor}.${lastPatch}`;
}
