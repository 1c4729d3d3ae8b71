/**
 * Something that could be different about a machine: plain data, and one line of text for command lines and URLs.
 * Devices are named as they are called today, whatever other changes do to their addresses.
 */

import { InputError } from '../kernel/errors.ts';

export type MachineChange =
  /** `pcie_acs_override=` with these words, on a kernel that has the patch. */
  | { change: 'acs-override'; words: string }
  /** Bits of a port or function in the words of `pci=config_acs=`: `xx11101`, rightmost is bit 0. */
  | { change: 'set-acs'; device: string; flags: string }
  /** Firmware shows the ACS capability that the port has and hides. */
  | { change: 'firmware-acs'; device: string }
  /** A parameter is taken off the kernel command line. */
  | { change: 'drop-parameter'; name: string }
  /** A card, with all its functions and everything below it, in the slot of another port. */
  | { change: 'move'; card: string; to: string }
  /** `what`: a kind (`card`, `card:2`, `switch:4` …), or the address of a card to have a second of. */
  | { change: 'add'; to: string; what: string }
  | { change: 'remove'; card: string }
  | { change: 'vfs'; device: string; count: number }
  /** Grouping rules of another kernel, by name. */
  | { change: 'policy'; name: string }
  | { change: 'iommu'; on: boolean }
  /** The kernel did not have this quirk; its name as reports show it. */
  | { change: 'without-quirk'; name: string };

/** Every kind, with the form of its value; what `whatif` takes as options. */
export const CHANGE_FORMS: Readonly<Record<MachineChange['change'], string>> = {
  'acs-override': 'WORDS',
  'set-acs': 'DEVICE=BITS',
  'firmware-acs': 'PORT',
  'drop-parameter': 'NAME',
  move: 'CARD=PORT',
  add: 'PORT=WHAT',
  remove: 'CARD',
  vfs: 'DEVICE=COUNT',
  policy: 'NAME',
  iommu: 'on|off',
  'without-quirk': 'NAME',
};

/** One line: `move=0000:03:00.0=0000:00:1c.4`. `parseChange` reads it. */
export function changeText(change: MachineChange): string {
  return `${change.change}=${valueText(change)}`;
}

function valueText(change: MachineChange): string {
  switch (change.change) {
    case 'acs-override':
      return change.words;
    case 'set-acs':
      return `${change.device}=${change.flags}`;
    case 'firmware-acs':
      return change.device;
    case 'drop-parameter':
    case 'policy':
    case 'without-quirk':
      return change.name;
    case 'move':
      return `${change.card}=${change.to}`;
    case 'add':
      return `${change.to}=${change.what}`;
    case 'remove':
      return change.card;
    case 'vfs':
      return `${change.device}=${change.count}`;
    case 'iommu':
      return change.on ? 'on' : 'off';
  }
}

/** @throws InputError for a line that is no change */
export function parseChange(text: string): MachineChange {
  const [kind, value] = split(text);
  const wrong = (form: string): InputError =>
    new InputError(`${kind}=${value}`, `is not of the form ${kind}=${form}`);
  if (!isKind(kind))
    throw new InputError(`'${text}'`, `is no change; there are ${Object.keys(CHANGE_FORMS).join(', ')}`);
  const form = CHANGE_FORMS[kind];
  if (value === '') throw wrong(form);
  const [first, second] = split(value);
  const pair = (): [string, string] => {
    if (first === '' || second === '') throw wrong(form);
    return [first, second];
  };
  switch (kind) {
    case 'acs-override':
      return { change: kind, words: value };
    case 'set-acs': {
      const [device, flags] = pair();
      if (!/^[01x]+$/i.test(flags)) throw wrong(form);
      return { change: kind, device, flags: flags.toLowerCase() };
    }
    case 'firmware-acs':
      return { change: kind, device: value };
    case 'drop-parameter':
    case 'policy':
    case 'without-quirk':
      return { change: kind, name: value };
    case 'move': {
      const [card, to] = pair();
      return { change: kind, card, to };
    }
    case 'add': {
      const [to, what] = pair();
      return { change: kind, to, what };
    }
    case 'remove':
      return { change: kind, card: value };
    case 'vfs': {
      const [device, count] = pair();
      if (!/^\d{1,5}$/.test(count)) throw wrong(form);
      return { change: kind, device, count: Number(count) };
    }
    case 'iommu':
      if (value !== 'on' && value !== 'off') throw wrong(form);
      return { change: kind, on: value === 'on' };
  }
}

/** The same change with every device it names as `resolve` has it. */
export function resolveChange(change: MachineChange, resolve: (word: string) => string): MachineChange {
  switch (change.change) {
    case 'set-acs':
    case 'firmware-acs':
    case 'vfs':
      return { ...change, device: resolve(change.device) };
    case 'move':
      return { ...change, card: resolve(change.card), to: resolve(change.to) };
    case 'remove':
      return { ...change, card: resolve(change.card) };
    case 'add':
      return {
        ...change,
        to: resolve(change.to),
        what: change.what.includes('.') ? resolve(change.what) : change.what,
      };
    default:
      return change;
  }
}

const isKind = (kind: string): kind is MachineChange['change'] => Object.hasOwn(CHANGE_FORMS, kind);

function split(text: string): [string, string] {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
