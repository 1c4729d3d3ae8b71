/** `verify` for reading. */

import type { Shorten } from '../advise/reason-words.ts';
import type { Difference, VerifyReport } from '../advise/report.ts';
import { type Output, wrap } from './output.ts';

export function verifyText(report: VerifyReport, out: Output, shorten: Shorten): string {
  const { bold } = out.colors;
  const parts = [wrap(`${bold(headline(report, out))} ${summary(report)}`.trimEnd(), out)];
  for (const difference of report.differences) parts.push('\n', differenceText(difference, out, shorten));
  for (const claim of report.claims)
    parts.push('\n', wrap(`${out.colors.yellow('Claimed, not real')}: ${claim}`, out, '', '  '));
  if (report.uncertain.length > 0) {
    const some =
      report.uncertain.slice(0, 8).map(shorten).join(', ') + (report.uncertain.length > 8 ? ', …' : '');
    parts.push(
      '\n',
      wrap(
        `Not certain: what decides over ${report.uncertain.length === 1 ? 'one device' : `${report.uncertain.length} devices`} was not read (${some}). Run as root, or record with \`sudo ringfence capture\`.`,
        out,
      ),
    );
  }
  for (const note of report.notes) parts.push(wrap(`note: ${note}`, out, '', '  '));
  return parts.join('');
}

function headline(report: VerifyReport, out: Output): string {
  if (report.verdict === 'equal') return out.colors.green('Equal:');
  return report.verdict === 'different' ? out.colors.red('Different:') : out.colors.yellow('Cannot tell:');
}

function summary(report: VerifyReport): string {
  if (report.verdict === 'equal') {
    return `the kernel's ${report.groups} groups of ${report.devices} devices are those the rules form (${report.policy}).`;
  }
  const count = report.differences.length;
  if (count > 0)
    return `${count} ${count === 1 ? 'place' : 'places'} where the kernel's groups are not those the rules form (${report.policy}).`;
  return 'there is nothing to compare.';
}

function differenceText(difference: Difference, out: Output, shorten: Shorten): string {
  const side = (groups: Difference['kernel']): string =>
    groups
      .map((group) => `${group.id === null ? 'none' : group.id}: ${group.devices.map(shorten).join(' ')}`)
      .join(' | ');
  return [
    wrap(`${out.colors.bold(difference.cause)} (${difference.kind})`, out),
    wrap(side(difference.kernel), out, '  kernel  ', '          '),
    wrap(side(difference.rules), out, '  rules   ', '          '),
    wrap(difference.explanation, out, '  '),
  ].join('');
}
