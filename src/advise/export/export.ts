/** The export as a report: the text for the consumer, what to know about it, or why there is none. */

import { InputError } from '../../kernel/errors.ts';
import type { Machine } from '../../machine/machine.ts';
import type { Describer } from '../describe.ts';
import { iommuState } from '../iommu-state.ts';
import { type ExportReport, REPORT_VERSION } from '../report.ts';
import type { Exporter, ExportInput, ExportOptions, Problem, Written } from './exporter.ts';
import { formedGroups } from './groups.ts';
import { select } from './selection.ts';

export interface ExportCall extends Partial<ExportOptions> {
  /** Leaves out members of the groups that were not named. */
  only?: boolean;
}

/** With the driver's name and a number behind it, it has to fit into 253 characters. */
const LONGEST_NODE = 180;

export const DEFAULT_DOMAIN = 'ringfence.local';

/**
 * @param names devices of the machine by address or name; for formats of the whole machine, none means all
 * @throws InputError when the format does not know the style, needs a node's name or devices, or a name is no name
 */
export function exportReport(
  describer: Describer,
  machine: Machine,
  exporter: Exporter,
  names: readonly string[],
  call: ExportCall = {},
): ExportReport {
  const options = checkOptions(exporter, call);
  const common = { ...options, describer, machine };
  if (exporter.scope === 'machine') {
    const formed = formedGroups(describer, machine);
    const wanted = names.flatMap((name) => (call.only ? [name] : (formed.of(name)?.members ?? [name])));
    const input: ExportInput = {
      ...common,
      devices: [],
      groups: [],
      source: formed.source,
      ...(names.length > 0 && { names: new Set(wanted) }),
    };
    return report(describer, exporter, options, [], exporter.write(input), [], []);
  }
  if (names.length === 0) throw new InputError('export', `--format ${exporter.name} expects DEVICE…`);
  const missing = missingGroups(describer, exporter);
  if (missing !== undefined) return report(describer, exporter, options, [], { text: '' }, [], [missing]);
  const selected = select(describer, machine, names, call.only === true);
  const { devices, groups, source, notes, problems } = selected;
  const written = problems.length > 0 ? { text: '' } : exporter.write({ ...common, devices, groups, source });
  return report(
    describer,
    exporter,
    options,
    devices.map((device) => device.address),
    written,
    notes,
    problems,
  );
}

/** Why nothing can be written for any device, as far as the machine's groups say so. */
function missingGroups({ snapshot }: Describer, { name, groups }: Exporter): Problem | undefined {
  const { state, missing } = iommuState(snapshot);
  const why = missing.map(({ detail, remedy }) => `${detail} (${remedy})`).join('; ');
  if (state === 'off' && groups !== 'nothing') {
    return { verdict: 'no', what: `no-iommu: no IOMMU is in use, so nothing can be handed over: ${why}` };
  }
  if (state === 'unknown' && groups === 'numbers') {
    return { verdict: 'cannot tell', what: `${name} goes by the kernel's numbers of groups, and ${why}` };
  }
  return undefined;
}

function report(
  describer: Describer,
  exporter: Exporter,
  { style }: ExportOptions,
  devices: string[],
  written: Written,
  notes: string[],
  refused: Problem[],
): ExportReport {
  const problems = [...refused, ...(written.problems ?? [])];
  const no = problems.some((problem) => problem.verdict === 'no');
  return {
    report: 'export',
    version: REPORT_VERSION,
    host: describer.host(),
    format: exporter.name,
    ...(exporter.styles !== 'either' && { style }),
    verdict: no ? 'no' : problems.length > 0 ? 'cannot tell' : 'yes',
    devices,
    ...(problems.length === 0 && { text: written.text }),
    problems: problems.map((problem) => problem.what),
    notes: problems.length > 0 ? [] : [...new Set([...notes, ...(written.notes ?? [])])],
  };
}

/** A name of DNS, of at most `longest` characters. */
function isDnsName(text: string, longest: number): boolean {
  const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
  return text.length <= longest && new RegExp(`^${label}(?:\\.${label})*$`, 'i').test(text);
}

function checkOptions(exporter: Exporter, call: ExportCall): ExportOptions {
  const { style = 'legacy', managed = true, node, domain = DEFAULT_DOMAIN, page } = call;
  if (exporter.styles !== 'either' && !exporter.styles.includes(style)) {
    throw new InputError('--iommufd', `${exporter.name} does not know iommufd`);
  }
  if (exporter.needsNode && node === undefined)
    throw new InputError('--node', `${exporter.name} needs the name of the node in its cluster`);
  if (node !== undefined && !isDnsName(node, LONGEST_NODE))
    throw new InputError('--node', `'${node}' is no host name`);
  if (exporter.needsNode === 'label' && node?.includes('.'))
    throw new InputError('--node', `${exporter.name} knows nodes by names without dots, not '${node}'`);
  // CDI wants a letter in front, and `vfio.` stands before it in a name of at most 63 characters.
  if (!isDnsName(domain, 58) || !/^[a-z]/.test(domain) || domain !== domain.toLowerCase())
    throw new InputError('--domain', `'${domain}' is no DNS domain in lower case of at most 58 characters`);
  return { style, managed, domain, ...(node !== undefined && { node }), ...(page !== undefined && { page }) };
}
