/** `why` for reading. */

import type { WhyDevice, WhyReport } from '../advise/report.ts';
import { DEFAULT_POLICY } from '../iommu/grouping/index.ts';
import { type Output, type Title, titleLine, wrap } from './output.ts';

export function whyText(report: WhyReport, out: Output, title: Title): string {
  const { bold, green, red } = out.colors;
  if (report.pair !== undefined) {
    const [a, b] = report.devices as [WhyDevice, WhyDevice];
    const answer = report.pair.share ? red('share a group') : green('do not share a group');
    return [
      titleLine(a.device.address, title, out),
      titleLine(b.device.address, title, out),
      '\n',
      `${bold('They')} ${bold(answer)}${groupsOf(a, b)}.\n`,
      ...report.pair.because.map((line) => wrap(`- ${line}`, out, '  ', '    ')),
    ].join('');
  }
  return report.devices.map((device) => one(device, report.policy, out, title)).join('\n');
}

function one(why: WhyDevice, policy: string, out: Output, title: Title): string {
  const { bold } = out.colors;
  const short = (name: string): string => title(name).split(' ')[0]!;
  const section = (head: string, lines: string[]): string[] =>
    lines.length > 0 ? [`\n${bold(head)}\n`, ...lines] : [];
  const bullet = (text: string): string => wrap(`- ${text}`, out, '  ', '    ');
  const apart = differs(why);
  return [
    titleLine(why.device.address, title, out),
    '\n',
    ...membership(why, out, title),
    ...(apart
      ? [wrap(`${out.colors.yellow('The rules differ')}: ${rulesSay(why, policy, short)}`, out)]
      : []),
    ...(why.group === null
      ? []
      : section(
          apart ? 'How the rules place it' : 'How it came there',
          why.because.map((line, index) => wrap(line, out, `  ${index + 1}. `, '     ')),
        )),
    ...section(
      'How the others came to it',
      why.others.map(({ devices, because }) => bullet(`${devices.map(short).join(' ')}: ${because}`)),
    ),
    ...section(
      'What would change it',
      why.changes.map((change) => bullet(change.what)),
    ),
  ].join('');
}

/** The group as it is: the kernel's where it formed any, else the rules'. */
function membership(why: WhyDevice, out: Output, title: Title): string[] {
  const { bold } = out.colors;
  const group = why.kernelGroup === undefined ? why.group : why.kernelGroup;
  if (group === null) {
    const reason = why.noGroup === undefined ? '.' : `: ${why.noGroup}.`;
    return [wrap(`${bold('It is in no group')}${reason}`, out)];
  }
  const others = group.members.filter((name) => name !== why.device.address);
  const would = why.kernelGroup === undefined ? ' (predicted)' : '';
  if (others.length === 0) return [`${bold(`Group ${group.id}`)}${would}, alone.\n`];
  return [
    `${bold(`Group ${group.id}`)}${would}, with\n`,
    ...others.map((name) => titleLine(name, title, out, '  ')),
  ];
}

function differs(why: WhyDevice): boolean {
  if (why.kernelGroup === undefined) return false;
  return why.kernelGroup?.members.join(' ') !== why.group?.members.join(' ');
}

function rulesSay(why: WhyDevice, policy: string, short: (name: string) => string): string {
  const others = why.group?.members.filter((name) => name !== why.device.address).map(short);
  const say =
    others === undefined
      ? `it has no group${why.noGroup === undefined ? '' : `: ${why.noGroup}`}`
      : others.length === 0
        ? 'it is alone'
        : `it is with ${others.join(' ')}`;
  const rules = policy === DEFAULT_POLICY ? 'the rules' : `the rules of ${policy}`;
  const hint = policy === DEFAULT_POLICY ? ' `ringfence verify` tells the likely cause.' : '';
  return `by ${rules} ${say}.${hint}`;
}

function groupsOf(a: WhyDevice, b: WhyDevice): string {
  const [left, right] = [a, b].map(
    (why) => (why.kernelGroup === undefined ? why.group : why.kernelGroup)?.id,
  );
  if (left === undefined || right === undefined) return '';
  return left === right ? ` (${left})` : ` (${left} and ${right})`;
}
