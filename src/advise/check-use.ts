/** What the host uses a device for right now. */

import type { UsageFacts, UsageKind } from '../host/snapshot.ts';
import { managesDma } from '../machine/drivers.ts';
import type { Findings } from './check-findings.ts';
import type { Describer } from './describe.ts';
import type { FindingCode } from './policy.ts';
import { shortener } from './shorten.ts';

const CODES: Record<UsageKind, FindingCode> = {
  root: 'in-use',
  mount: 'in-use',
  swap: 'in-use',
  volume: 'in-use',
  network: 'in-use-network',
  route: 'in-use-route',
  display: 'in-use-display',
  input: 'in-use-input',
};

const REMEDIES: Partial<Record<FindingCode, string>> = {
  'in-use': 'move that to another disk first; the host loses it as the driver is unbound',
  'in-use-network': 'give the host another way out first, or it will be cut off',
  'in-use-display': 'log in from elsewhere (ssh, serial console) and stop the display server first',
  'in-use-input': 'plug it into a port of another controller, or log in from elsewhere',
};

/** Base classes of functions that something of the kind may come through; USB controllers may hold anything. */
const STORAGE = 0x01;
const NETWORK = 0x02;
const DISPLAY = 0x03;
const USB = 0x0c03;
const CLASSES: Record<UsageKind, (code: number) => boolean> = {
  root: (code) => code >> 16 === STORAGE || code >> 8 === USB,
  mount: (code) => code >> 16 === STORAGE || code >> 8 === USB,
  swap: (code) => code >> 16 === STORAGE || code >> 8 === USB,
  volume: (code) => code >> 16 === STORAGE || code >> 8 === USB,
  network: (code) => code >> 16 === NETWORK || code >> 8 === USB,
  route: (code) => code >> 16 === NETWORK || code >> 8 === USB,
  display: (code) => code >> 16 === DISPLAY,
  input: (code) => code >> 8 === USB,
};

export function checkUse(describer: Describer, findings: Findings, names: readonly string[]): void {
  const { usage } = describer.snapshot;
  // Nothing of the host comes through a device without a driver, or one that vfio-pci has.
  const usable = names.filter((name) => {
    const driver = describer.facts(name)?.driver;
    return describer.facts(name) !== undefined && driver !== null && !(driver && managesDma(driver));
  });
  if (usable.length === 0) return;
  if (usage === undefined) {
    const shorten = shortener(describer.snapshot);
    findings.doubt('usage-unread', {
      concerns: [...usable],
      what: `What the host uses (disks, network, display, keyboard) is not in this recording, and ${enumerate(usable.map((name) => `${shorten(name)} (${describer.facts(name)?.driver ?? 'driver not known'})`))} may be in use.`,
      remedy: 'run it on the machine itself, or on what `ringfence capture` records there',
    });
    return;
  }
  for (const name of usable) {
    const used = usesOf(describer, name);
    for (const code of new Set(used.map(({ kind }) => CODES[kind]))) {
      const uses = used.filter(({ kind }) => CODES[kind] === code);
      const remedy = REMEDIES[code];
      findings.add(code, {
        device: name,
        concerns: [name],
        detail: uses[0]!.detail,
        what: `The host uses ${shortener(describer.snapshot)(name)}: ${usesWords(uses)}.`,
        ...(remedy !== undefined && { remedy }),
      });
    }
    doubts(describer, findings, name, usage);
  }
}

/** Uses that come through a device, or through something that hangs from it. */
export function usesOf(describer: Describer, name: string): UsageFacts[] {
  return (describer.snapshot.usage ?? []).filter(
    ({ device }) =>
      device !== null && (device === name || describer.facts(device)?.path?.includes(`/${name}/`) === true),
  );
}

function doubts(describer: Describer, findings: Findings, name: string, usage: readonly UsageFacts[]): void {
  const code = describer.facts(name)?.class;
  const open = usage.filter(({ device, kind }) => device === null && (!code || CLASSES[kind](code)));
  for (const finding of new Set(open.map(({ kind }) => CODES[kind]))) {
    const details = open.filter(({ kind }) => CODES[kind] === finding).map(({ detail }) => detail);
    findings.doubt(finding, {
      device: name,
      concerns: [name],
      what: `Whether the host uses ${shortener(describer.snapshot)(name)} cannot be told (${enumerate(details)}).`,
      ...(details.some((detail) => detail.endsWith('(zfs)')) && {
        remedy: '`zpool status -P` names the disks of a pool',
      }),
    });
  }
}

/** `root file system (nvme0n1p2), mounted at /boot (nvme0n1p1)` */
export function usesWords(uses: readonly UsageFacts[]): string {
  const parts: string[] = [];
  const of = (kind: UsageKind): UsageFacts[] => uses.filter((use) => use.kind === kind);
  const through = (list: readonly UsageFacts[]): string => {
    const names = [...new Set(list.flatMap((use) => (use.through === undefined ? [] : [use.through])))];
    return names.length === 0 ? '' : ` (${enumerate(names)})`;
  };
  const details = (list: readonly UsageFacts[]): string => enumerate([...new Set(list.map((u) => u.detail))]);
  const say = (kind: UsageKind, words: (list: readonly UsageFacts[]) => string): void => {
    if (of(kind).length > 0) parts.push(words(of(kind)));
  };
  say(
    'root',
    (list) =>
      `the root file system ${list.some(({ detail }) => detail === '/') ? 'is on' : 'comes over'} it${through(list)}`,
  );
  say(
    'mount',
    (list) => `${details(list)} ${list.length === 1 ? 'is' : 'are'} mounted from it${through(list)}`,
  );
  say('swap', (list) => `it holds swap space${through(list)}`);
  say('volume', (list) => `it is part of ${details(list)}${through(list)}`);
  say('network', (list) => `the default route leads through it (${ways(list)})`);
  say('route', (list) => `routes lead through it (${ways(list)})`);
  say('display', (list) => `a monitor is connected to ${details(list)}`);
  say('input', (list) => `${details(list)} connected to it${through(list)}`);
  return parts.join('; ');
}

/** `eth0`, or `br0 on eth0`. */
function ways(uses: readonly UsageFacts[]): string {
  return enumerate([
    ...new Set(
      uses.map(({ detail, through }) =>
        through === undefined || through === detail ? detail : `${detail} on ${through}`,
      ),
    ),
  ]);
}

/** At most four by name. */
export function enumerate(items: readonly string[]): string {
  const shown = items.slice(0, items.length === 5 ? 5 : 4);
  if (items.length > shown.length) return `${shown.join(', ')} and ${items.length - shown.length} more`;
  return shown.length < 2 ? (shown[0] ?? '') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}
