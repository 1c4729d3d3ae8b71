/** `pci=disable_acs_redir=` and `pci=config_acs=`: which bits of which devices they set or clear. */

import { Acs } from './acs-bits.ts';
import type { PciDevice } from './device.ts';
import { type DeviceSpecifier, parseSpecifier } from './device-specifier.ts';

/** Bits outside `mask` stay as firmware left them; `flags` within it. */
export interface AcsChange {
  mask: number;
  flags: number;
}

const ALL = Acs.SV | Acs.TB | Acs.RR | Acs.CR | Acs.UF | Acs.EC | Acs.DT;
const REDIRECT: AcsChange = { mask: Acs.RR | Acs.CR | Acs.EC, flags: 0 };

interface Entry {
  change: AcsChange;
  specifier: DeviceSpecifier;
}

/** One parameter, read once; the kernel reads it anew for every device and comes to the same. */
export class AcsParameter {
  readonly name: 'disable_acs_redir' | 'config_acs';
  readonly text: string;
  /** What the kernel refuses and where it stops reading, for the report. */
  readonly notes: string[] = [];
  readonly #entries: Entry[] = [];

  constructor(name: AcsParameter['name'], text: string) {
    this.name = name;
    this.text = text;
    let at = 0;
    while (at < text.length) {
      const head = name === 'config_acs' ? this.#flags(at) : { change: REDIRECT, at };
      if (head === undefined) return;
      const specifier = parseSpecifier(text, head.at);
      this.#entries.push({ change: head.change, specifier });
      if (specifier.malformed) this.#note(`'${text.slice(head.at)}' does not name a device`);
      const separator = text[specifier.end];
      if (separator !== ';' && separator !== ',') {
        if (separator !== undefined && !specifier.malformed)
          this.#note(`'${text.slice(specifier.end)}' is not read`);
        return;
      }
      at = specifier.end + 1;
    }
  }

  /** What is to change on `device`; the first entry that names it counts (`__pci_config_acs`). */
  changeFor(device: PciDevice): AcsChange | undefined {
    for (const { change, specifier } of this.#entries) {
      const match = specifier.match(device);
      if (match === 'yes') return change;
      if (match === 'malformed') return undefined;
    }
    return undefined;
  }

  /** `<flags>@`: rightmost character is bit 0. */
  #flags(from: number): { change: AcsChange; at: number } | undefined {
    const at = this.text.indexOf('@', from);
    if (at < 0) {
      this.#note(`'${this.text.slice(from)}' has no flags (no @)`);
      return undefined;
    }
    let mask = 0;
    let flags = 0;
    for (let i = at - 1, bit = 0; i >= from; i--, bit++) {
      const char = this.text[i];
      // The word is 16 bits: what is shifted out is lost.
      const value = bit < 16 ? 1 << bit : 0;
      if (char === '0') mask |= value;
      else if (char === '1') {
        mask |= value;
        flags |= value;
      } else if (char !== 'x' && char !== 'X') {
        this.#note(`'${this.text.slice(from, at)}' are not flags (0, 1, x)`);
        return undefined;
      }
    }
    if ((mask & ~ALL) !== 0) {
      this.#note(`'${this.text.slice(from, at)}' sets bits that ACS does not have`);
      return undefined;
    }
    return { change: { mask, flags }, at: at + 1 };
  }

  #note(problem: string): void {
    this.notes.push(`pci=${this.name}=: ${problem}; the kernel ignores it and what follows`);
  }
}
