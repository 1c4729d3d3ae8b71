/** Words of the command line that set ACS bits. */

import { wordsOf } from '../pci/command-line.ts';

/** One entry of `pci=config_acs=`. */
export interface AcsEntry {
  flags: string;
  device: string;
}

/**
 * `pci=config_acs=…` with these entries before those that `cmdline` has: only the last such parameter counts, and
 * of its entries the first that names a device.
 */
export function configAcsWord(entries: readonly AcsEntry[], cmdline = ''): string {
  const present = presentConfigAcs(cmdline);
  const all = entries.map(({ flags, device }) => `${flags}@${device}`);
  return `pci=config_acs=${[...all, ...(present === undefined ? [] : [present])].join(';')}`;
}

/** What the last `config_acs=` of a command line says. */
export function presentConfigAcs(cmdline: string): string | undefined {
  let present: string | undefined;
  for (const { name, value } of wordsOf(cmdline)) {
    if (name !== 'pci') continue;
    for (const option of value?.split(',') ?? [])
      if (option.startsWith('config_acs=')) present = option.slice('config_acs='.length);
  }
  return present;
}

/** Parameters of `pci=`, as against words of their own. */
const OF_PCI = ['config_acs', 'disable_acs_redir', 'noats'];

/** The command line without a parameter: a word, or an option of `pci=`. */
export function withoutParameter(cmdline: string, name: string): string {
  const kept: string[] = [];
  let end = 0;
  for (const word of wordsOf(cmdline)) {
    end = word.end;
    if (word.name === 'pci' && OF_PCI.includes(name) && word.value !== undefined) {
      const options = word.value.split(',').filter((option) => option.split('=')[0] !== name);
      if (options.length > 0) kept.push(`pci=${options.join(',')}`);
    } else if (word.name !== name) kept.push(word.raw);
  }
  return kept.join(' ') + cmdline.slice(end);
}
