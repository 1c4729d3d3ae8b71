/** `why` for reading. */

import type { WhyDevice, WhyReport } from '../advise/report.ts';
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
      ...kernelDisagrees(a, out),
      ...kernelDisagrees(b, out),
    ].join('');
  }
  return report.devices.map((device) => one(device, out, title)).join('\n');
}

function one(why: WhyDevice, out: Output, title: Title): string {
  const { bold } = out.colors;
  const short = (name: string): string => title(name).split(' ')[0]!;
  const parts = [titleLine(why.device.address, title, out), '\n'];
  if (why.group === null) {
    parts.push(wrap(`${bold('It is in no group.')} ${why.noGroup ?? ''}`, out), ...kernelDisagrees(why, out));
    return parts.join('');
  }
  const others = why.group.members.filter((name) => name !== why.device.address);
  const id = why.kernelGroup?.id ?? why.group.id;
  parts.push(
    others.length === 0
      ? `${bold(`Group ${id}`)}, alone.\n`
      : `${bold(`Group ${id}`)}, with\n${others.map((name) => titleLine(name, title, out, '  ')).join('')}`,
  );
  parts.push(
    `\n${bold('How it came there')}\n`,
    ...why.because.map((line, index) => wrap(line, out, `  ${index + 1}. `, '     ')),
  );
  if (why.others.length > 0) {
    parts.push(
      `\n${bold('How the others came to it')}\n`,
      ...why.others.map(({ devices, because }) =>
        wrap(`- ${devices.map(short).join(' ')}: ${because}`, out, '  ', '    '),
      ),
    );
  }
  if (why.changes.length > 0) {
    parts.push(
      `\n${bold('What would change it')}\n`,
      ...why.changes.map((change) => wrap(`- ${change.what}`, out, '  ', '    ')),
    );
  }
  parts.push(...kernelDisagrees(why, out));
  return parts.join('');
}

/** The kernel's own grouping wins over the rules: where they part, say so. */
function kernelDisagrees(why: WhyDevice, out: Output): string[] {
  if (why.kernelGroup === undefined) return [];
  const kernel = why.kernelGroup?.members.join(' ');
  const rules = why.group?.members.join(' ');
  if (kernel === rules) return [];
  const has = why.kernelGroup === null ? 'no group for it' : `it in group ${why.kernelGroup.id} (${kernel})`;
  const give = why.group === null ? 'give it none' : `give it ${rules}`;
  return [
    '\n',
    wrap(
      `${out.colors.yellow('The kernel differs')}: it has ${has}, where the rules ${give}. \`ringfence verify\` tells the likely cause.`,
      out,
    ),
  ];
}

function groupsOf(a: WhyDevice, b: WhyDevice): string {
  const [left, right] = [a.group?.id, b.group?.id];
  if (left === undefined || right === undefined) return '';
  return left === right
    ? ` (${a.kernelGroup?.id ?? left})`
    : ` (${a.kernelGroup?.id ?? left} and ${b.kernelGroup?.id ?? right})`;
}
