/** ACS bits and verdicts in words. */

import type { AcsVerdict } from '../pci/acs.ts';
import { acsBitNames } from '../pci/acs-bits.ts';

/**
 * Why a function counts as isolating or not: the part after "isolates: " or "does not isolate: ".
 * @param subject what the clause speaks of, `it` where the sentence has named it
 */
export function acsBecause(verdict: AcsVerdict, subject = 'it'): string {
  const words = plainBecause(verdict, subject);
  if (verdict.known || verdict.because === 'unknown') return words;
  return `${words}, ${DOUBT[verdict.because] ?? 'as far as known: its ids were not recorded, so a quirk may speak for it'}`;
}

/** What was not known where a verdict is an assumption. */
const DOUBT: Partial<Record<AcsVerdict['because'], string>> = {
  quirk: 'if a fact that was not recorded is as usual',
  'single-function': 'as far as known: its header type was not read',
  override: 'as far as known: whether it has ACS of its own was not read',
};

function plainBecause(verdict: AcsVerdict, subject: string): string {
  const its = subject === 'it' ? 'its' : `${subject}'s`;
  switch (verdict.because) {
    case 'quirk':
      return verdict.enabled
        ? `Linux knows this chip isolates (quirk ${verdict.quirk})`
        : `Linux knows this chip does not isolate (quirk ${verdict.quirk})`;
    case 'override':
      return `the command line claims it (${verdict.quirk ?? 'pcie_acs_override'}); the hardware does not show it`;
    case 'not-pcie':
      return `${subject} is conventional PCI, which has no ACS`;
    case 'bridge-type':
      return 'a bridge between PCI Express and conventional PCI cannot isolate';
    case 'event-collector':
      return 'an event collector has no ACS of its own';
    case 'capability':
      return capabilityWords(verdict, its);
    case 'no-capability':
      return `${subject} has no ACS capability`;
    case 'single-function':
      return `${subject} is the only function of its device and needs no ACS`;
    case 'other-type':
      return 'functions of its type need no ACS';
    case 'unknown':
      return `${its} capabilities could not be read; taken as not isolating`;
  }
}

function capabilityWords(verdict: AcsVerdict, its: string): string {
  if (verdict.enabled) {
    return verdict.capability === 0
      ? `${its} ACS capability offers no bits, which Linux takes as isolated by construction`
      : `${its} ACS is on where it is offered`;
  }
  return `${its} ACS is offered but off: ${acsBitNames(verdict.missing ?? 0).join(', ')}`;
}

/** `+` isolates, `-` does not, `?` not known, for marks in trees and tables. */
export function acsMark(verdict: AcsVerdict): '+' | '-' | '?' {
  if (!verdict.known) return '?';
  return verdict.enabled ? '+' : '-';
}
