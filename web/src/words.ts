/** Words the page has of its own: for marks and states, which reports have as signs. */

import type { ExploreNode, Holder } from '../../src/advise/report.ts';

/** Name of its style, sign and word. */
type Mark = readonly [name: string, sign: string, word: string];

export const MARKS: Record<NonNullable<ExploreNode['mark']>, Mark> = {
  '+': ['yes', '⊟', 'isolates'],
  '-': ['no', '⇄', 'open'],
  '?': ['unknown', '?', 'not known'],
};
export const CLAIM: Mark = ['unknown', '≈', 'claimed'];

export const HOLDERS: Record<Holder, string> = {
  host: 'driver of the host',
  vfio: 'handed over to vfio',
  port: 'needs no handing over',
  nobody: 'no driver',
  unknown: 'driver not recorded',
};

/** Addresses without the domain where the machine has only domain 0. */
export function shortener(roots: readonly ExploreNode[]): (name: string) => string {
  const one = roots.every(({ name, kind }) => kind !== 'bus' || name.startsWith('0000:'));
  return (name) => (one ? name.replace(/^0000:/, '') : name);
}
