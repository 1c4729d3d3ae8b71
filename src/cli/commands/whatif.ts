/** `ringfence whatif` */

import { goalReport } from '../../advise/goal.ts';
import type { GoalReport, WhatIfReport } from '../../advise/report.ts';
import { selectDevice } from '../../advise/select.ts';
import { shortener } from '../../advise/shorten.ts';
import { whatIf } from '../../advise/whatif.ts';
import type { Snapshot } from '../../host/snapshot.ts';
import { InputError } from '../../kernel/errors.ts';
import { boot } from '../../machine/boot.ts';
import { CHANGE_FORMS, type MachineChange, parseChange, resolveChange } from '../../machine/change.ts';
import { formatAddress, parseAddress } from '../../pci/address.ts';
import type { Call, Flags } from '../args.ts';
import { EXIT } from '../context.ts';
import { goalText, whatIfText } from '../whatif-text.ts';

export async function run({ flags, context }: Call): Promise<number> {
  const goal = flags.value('goal');
  const changes = changesOf(flags);
  if (goal === undefined && changes.length === 0)
    throw new InputError('whatif', 'expects a change, such as --move CARD=PORT, or --goal DEVICE');
  const snapshot = await context.snapshot();
  const parents = boot(snapshot);
  const parentOf = (name: string): string | undefined => parents.parentOf(name);
  const shorten = shortener(snapshot);

  if (goal !== undefined) {
    const [other] = changes.filter(({ change }) => change !== 'policy');
    if (other !== undefined) throw new InputError('--goal', `does not go with --${other.change}`);
    const name = selectDevice(snapshot, goal, parentOf);
    if (parents.pci.find(name) === undefined) throw new InputError(`'${goal}'`, 'is no PCI function');
    const policy = flags.value('policy');
    const describer = context.describer(snapshot);
    const report = goalReport(describer, name, policy === undefined ? {} : { policy });
    context.print(report, (shown, out) =>
      goalText(shown, out, { title: (device) => describer.shortTitle(device), shorten }),
    );
    return goalExit(report);
  }

  const resolved = changes.map((change) =>
    resolveChange(change, (word) => deviceOf(snapshot, word, parentOf)),
  );
  const report = whatIf(snapshot, resolved, { describer: (machine) => context.describer(machine) });
  context.print(report, (shown, out) => whatIfText(shown, out, shorten));
  return changeExit(report);
}

/** In the order of the table: what sits where, then what the kernel is told. */
function changesOf(flags: Flags): MachineChange[] {
  return Object.keys(CHANGE_FORMS).flatMap((kind) => {
    const single = flags.value(kind);
    const values = single === undefined ? flags.values(kind) : [single];
    return values.map((value) => parseChange(`${kind}=${value}`));
  });
}

/** A device of the machine, or an address that another change gives to something. */
function deviceOf(snapshot: Snapshot, word: string, parentOf: (name: string) => string | undefined): string {
  try {
    return selectDevice(snapshot, word, parentOf);
  } catch (error) {
    const address = parseAddress(word);
    if (error instanceof InputError && address !== undefined) return formatAddress(address);
    throw error;
  }
}

function changeExit({ uncertain }: WhatIfReport): number {
  return uncertain.length > 0 ? EXIT.cannotTell : EXIT.yes;
}

function goalExit({ reachable, certain, ways }: GoalReport): number {
  if (reachable === 'already' || reachable === 'no') {
    if (!certain) return EXIT.cannotTell;
    return reachable === 'no' ? EXIT.no : EXIT.yes;
  }
  const sure = ways.some((way) => way.certain && (way.reaches === 'alone' || way.reaches === 'card'));
  return sure ? EXIT.yes : EXIT.cannotTell;
}
