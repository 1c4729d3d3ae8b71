/** `ringfence show` */

import { AbiIndex } from '../../abi/index.ts';
import { readAbiTree } from '../../abi/tree.ts';
import { groupNumber, selectDevices } from '../../advise/select.ts';
import { showGroup, showReport } from '../../advise/show.ts';
import { withAbi } from '../../advise/show-abi.ts';
import { InputError } from '../../kernel/errors.ts';
import { boot } from '../../machine/boot.ts';
import { findAbiTree } from '../abi-tree.ts';
import type { Call } from '../args.ts';
import { EXIT } from '../context.ts';
import { showText } from '../show-text.ts';

export async function run({ operands, flags, context }: Call): Promise<number> {
  const snapshot = await context.snapshot();
  const policy = flags.value('policy');
  const machine = boot(snapshot, policy === undefined ? {} : { policy });
  const describer = context.describer(snapshot);
  const devices: string[] = [];
  const groups: number[] = [];
  for (const word of operands) {
    const id = groupNumber(word);
    if (id === undefined) devices.push(...selectDevices(snapshot, word, (name) => machine.parentOf(name)));
    else if (showGroup(describer, machine, id) === undefined)
      throw new InputError(`'${word}'`, 'this machine has no group of that number');
    else groups.push(id);
  }
  const shown = showReport(describer, machine, [...new Set(devices)], groups);
  const tree = flags.value('tree') ?? findAbiTree();
  const report = tree === undefined ? shown : withAbi(shown, new AbiIndex(readAbiTree(tree)));
  context.print(report, (printed, out) => showText(printed, out, (name) => describer.title(name)));
  return EXIT.yes;
}
