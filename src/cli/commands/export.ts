/** `ringfence export` */

import { isBridge } from '../../advise/export/bridge.ts';
import { exportReport } from '../../advise/export/export.ts';
import { findExporter } from '../../advise/export/formats.ts';
import { formedGroups } from '../../advise/export/groups.ts';
import { groupNumber, selectDevices } from '../../advise/select.ts';
import { InputError } from '../../kernel/errors.ts';
import { printableLines } from '../../kernel/printable.ts';
import { boot } from '../../machine/boot.ts';
import type { Call } from '../args.ts';
import { EXIT } from '../context.ts';
import { singlePage } from '../web-folder.ts';

export async function run({ operands, flags, context }: Call): Promise<number> {
  const exporter = findExporter(flags.value('format'));
  const snapshot = await context.snapshot();
  const policy = flags.value('policy');
  const machine = boot(snapshot, policy === undefined ? {} : { policy });
  const describer = context.describer(snapshot);
  const names = operands.flatMap((word): string[] => {
    const id = groupNumber(word);
    if (id === undefined) return selectDevices(snapshot, word, (name) => machine.parentOf(name));
    const group = formedGroups(describer, machine).groups.find((one) => one.id === id);
    if (group === undefined) throw new InputError(`'${word}'`, 'this machine has no group of that number');
    return group.members.filter((member) => {
      const facts = describer.facts(member);
      return facts !== undefined && !isBridge(facts);
    });
  });
  const [node, domain] = [flags.value('node'), flags.value('domain')];
  const report = exportReport(describer, machine, exporter, [...new Set(names)], {
    style: flags.on('iommufd') ? 'iommufd' : 'legacy',
    only: flags.on('only'),
    managed: !flags.on('unmanaged'),
    ...(node !== undefined && { node }),
    ...(domain !== undefined && { domain }),
    ...(exporter.needsPage && { page: singlePage() }),
  });
  if (context.json) context.print(report, () => '');
  // The page's script is ours, and what is of the machine in it was made printable before.
  else if (exporter.needsPage) context.out.write(report.text ?? '');
  else context.out.write(printableLines(report.text ?? ''));
  // A file or a pipe takes the text; what people should know goes where they look.
  if (!context.json) {
    for (const problem of report.problems) context.note(problem);
    for (const note of report.notes) context.note(`note: ${note}`);
  }
  return { yes: EXIT.yes, no: EXIT.no, 'cannot tell': EXIT.cannotTell }[report.verdict];
}
