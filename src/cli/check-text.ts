/** `check` for reading, and one line a device for scripts. */

import type { CheckDevice, CheckGroup, CheckMember, CheckReport, Finding } from '../advise/report.ts';
import { type Output, type Title, titleLine, wrap } from './output.ts';

const HEADINGS: [Finding['severity'], string][] = [
  ['refusal', 'In the way'],
  ['unknown', 'Not known, and it matters'],
  ['warning', 'To be aware of'],
  ['note', 'Notes'],
];

export function checkText(report: CheckReport, out: Output, title: Title, short: Title): string {
  const { bold } = out.colors;
  const parts = [...report.devices.map((device) => deviceText(device, report, out, title)), '\n'];
  parts.push(wrap(`${verdictWord(report, out)} ${verdictReason(report)}`, out));
  for (const [severity, heading] of HEADINGS) {
    const found = report.findings.filter((finding) => finding.severity === severity);
    if (found.length === 0) continue;
    parts.push(
      `\n${bold(heading)}\n`,
      ...found.map((finding, at) => findingText(finding, found[at + 1], out)),
    );
  }
  for (const group of report.groups) {
    if (group.members.some(({ role }) => role !== 'asked')) parts.push(groupText(group, out, short));
  }
  if (report.notes.length > 0) parts.push('\n');
  for (const note of report.notes) parts.push(wrap(`note: ${note}`, out, '', '  '));
  return parts.join('');
}

function deviceText(device: CheckDevice, report: CheckReport, out: Output, title: Title): string {
  const facts: string[] = [];
  if (device.driver !== undefined)
    facts.push(device.driver === null ? 'no driver' : `driver ${device.driver}`);
  if (device.group !== null) facts.push(`group ${device.group}`);
  if (device.reset !== undefined && device.reset.methods.length > 0)
    facts.push(`reset ${device.reset.methods.join(' ')}`);
  const own = report.devices.length > 1 ? `${colored(device.verdict, device.verdict, out)}: ` : '';
  const line = titleLine(device.address, title, out);
  return facts.length === 0 && own === '' ? line : `${line}${wrap(`${own}${facts.join(', ')}`, out, '  ')}`;
}

function verdictWord({ verdict }: CheckReport, out: Output): string {
  const words = { yes: 'Yes:', no: 'No:', 'cannot tell': 'Cannot tell:' };
  return out.colors.bold(colored(verdict, words[verdict], out));
}

function colored(verdict: CheckReport['verdict'], text: string, out: Output): string {
  const { green, red, yellow } = out.colors;
  return { yes: green, no: red, 'cannot tell': yellow }[verdict](text);
}

function verdictReason({ verdict, findings, devices }: CheckReport): string {
  const count = (severity: Finding['severity']): number =>
    findings.filter((finding) => finding.severity === severity).length;
  const [refusals, unknown] = [count('refusal'), count('unknown')];
  const it = devices.length === 1 ? 'it' : 'they';
  if (verdict === 'yes') return `${it} can be handed over.`;
  if (verdict === 'cannot tell')
    return `${unknown === 1 ? 'a fact is' : `${unknown} facts are`} missing that could be in the way.`;
  return `${refusals === 1 ? 'one thing is' : `${refusals} things are`} in the way.`;
}

/** Advice that the next one repeats is given there. */
function findingText({ code, what, remedy }: Finding, next: Finding | undefined, out: Output): string {
  const line = wrap(`- ${what} ${out.colors.dim(`[${code}]`)}`, out, '  ', '    ');
  return remedy === undefined || remedy === next?.remedy
    ? line
    : line + wrap(`> ${remedy}`, out, '    ', '      ');
}

/** `Group 3: asked for 07:00.0; in the way 08:00.0 (nvme); not in the way 00:03.1 (pcieport).` */
function groupText(group: CheckGroup, out: Output, short: Title): string {
  const of = (...roles: CheckMember['role'][]): CheckMember[] =>
    group.members.filter(({ role }) => roles.includes(role));
  const say = (words: string, members: readonly CheckMember[]): string[] =>
    members.length === 0 ? [] : [`${words} ${members.map((member) => memberText(member, short)).join(', ')}`];
  const parts = [
    ...say('asked for', of('asked')),
    ...say('in the way', of('in use')),
    ...say('not known', of('unknown')),
    ...say('not in the way', of('no driver', 'vfio', 'shares')),
  ];
  const source = group.source === 'predicted' ? ' (by the rules)' : '';
  const name = out.colors.bold(`Group ${group.id}`);
  return `\n${wrap(`${name}${source}: ${parts.join('; ')}.`, out, '', '  ')}${whyLine(group, out, short)}`;
}

function memberText({ address, driver, role }: CheckMember, short: Title): string {
  if (role === 'asked' || driver === undefined) return short(address);
  return `${short(address)} (${driver ?? 'no driver'})`;
}

function whyLine({ members }: CheckGroup, out: Output, short: Title): string {
  const asked = members.find(({ role }) => role === 'asked')!;
  const other = members.find(({ role }) => role === 'in use' || role === 'unknown');
  if (other === undefined) return '';
  return wrap(
    `\`ringfence why ${short(asked.address)} ${short(other.address)}\` tells why they share.`,
    out,
    '  ',
  );
}

/** `0000:01:00.0 no member-in-use:0000:01:00.1(e1000e)`: what bears on the verdict, the unknown with `?`. */
export function compactText(report: CheckReport): string {
  return report.devices
    .map(({ address, verdict }) => {
      const reasons = report.findings
        .filter(({ severity }) => severity === 'refusal' || severity === 'unknown')
        .filter(({ concerns }) => concerns.includes(address))
        .map((finding) => compactReason(finding, address));
      return `${[address, verdict.replace(' ', '-'), ...reasons].join(' ')}\n`;
    })
    .join('');
}

function compactReason({ code, severity, device, detail }: Finding, address: string): string {
  const mark = severity === 'unknown' ? '?' : '';
  const who = device === undefined || device === address ? '' : `:${device}`;
  // Blanks and brackets in a mount point would make another word of it.
  const word = detail?.replace(/[\s%()]/g, percent);
  return `${code}${mark}${who}${word === undefined ? '' : `(${word})`}`;
}

const percent = (char: string): string =>
  `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
