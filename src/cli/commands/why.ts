/** `ringfence why` */

import { selectDevice } from '../../advise/select.ts';
import { whyReport } from '../../advise/why.ts';
import { InputError } from '../../kernel/errors.ts';
import { boot } from '../../machine/boot.ts';
import type { Call } from '../args.ts';
import { EXIT } from '../context.ts';
import { whyText } from '../why-text.ts';

export async function run({ operands, flags, context }: Call): Promise<number> {
  const snapshot = await context.snapshot();
  const policy = flags.value('policy');
  const machine = boot(snapshot, policy === undefined ? {} : { policy });
  const names = operands.map((word) => selectDevice(snapshot, word, (name) => machine.parentOf(name)));
  if (names.length === 2 && names[0] === names[1])
    throw new InputError('why', 'expects two different devices');
  const describer = context.describer(snapshot);
  const report = whyReport(describer, machine, names);
  context.print(report, (shown, out) => whyText(shown, out, (name) => describer.shortTitle(name)));
  if (report.devices.some((device) => !device.certain)) return EXIT.cannotTell;
  return report.pair?.share === false ? EXIT.no : EXIT.yes;
}
