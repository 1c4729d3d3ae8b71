/** `plan` for reading. */

import type { PlanRefusal, PlanReport, PlanStep } from '../advise/report.ts';
import { type Output, type Title, titleLine, wrap } from './output.ts';

export function planText(plan: PlanReport, out: Output, title: Title): string {
  const { bold } = out.colors;
  const parts = [bold(headline(plan)), '\n'];
  for (const { address, role, before } of plan.devices) {
    const sibling = role === 'sibling' ? ', shares the group' : '';
    parts.push(titleLine(address, title, out, '  '), `    ${before.driver ?? 'no driver'}${sibling}\n`);
  }
  for (const device of plan.unknown) {
    parts.push(titleLine(device, title, out, '  '));
    parts.push(
      wrap('its driver is not known: plan on the machine, or on what `capture` recorded', out, '    '),
    );
  }
  if (plan.commands.length > 0) {
    parts.push(`\n${bold('To run before')}\n`);
    for (const { run, why } of plan.commands) parts.push(`  ${run}\n`, wrap(why, out, '     '));
  }
  if (plan.steps.length > 0)
    parts.push(`\n${bold('Writes, in order')}\n`, ...plan.steps.map((s, i) => stepText(s, i, out)));
  if (plan.left.length > 0) {
    parts.push(`\n${bold('Left as they are')}\n`);
    for (const { device, why } of plan.left)
      parts.push(titleLine(device, title, out, '  '), wrap(why, out, '    '));
  }
  if (plan.refusals.length > 0) {
    parts.push(`\n${bold('In the way')}\n`, ...plan.refusals.map((refusal) => refusalText(refusal, out)));
  }
  for (const note of plan.notes) parts.push('\n', wrap(`note: ${note}`, out, '', '  '));
  parts.push('\n', wrap(ending(plan), out));
  return parts.join('');
}

function headline({ devices, driver, steps, unknown }: PlanReport): string {
  if (steps.length === 0)
    return unknown.length > 0 ? `Cannot plan for ${driver}` : `Nothing to do for ${driver}`;
  return `${devices.length === 1 ? 'One device goes' : `${devices.length} devices go`} to ${driver}`;
}

function stepText({ path, value, before, why }: PlanStep, index: number, out: Output): string {
  const number = `${index + 1}.`.padStart(4);
  return [
    `${number} ${path}\n`,
    wrap(`write ${valueText(value)}, now ${before ?? 'none'}: ${why}`, out, '     '),
  ].join('');
}

/** An empty line lifts an override; its line end is a blank once it is printable. */
export function valueText(value: string): string {
  return value.trim() === '' ? 'an empty line' : value;
}

export function refusalText({ code, severity, what, remedy }: PlanRefusal, out: Output): string {
  const { red, yellow } = out.colors;
  const name = (severity === 'refusal' ? red : yellow)(code);
  return [
    wrap(`${name}: ${what}`, out, '  ', '    '),
    remedy === undefined ? '' : wrap(`remedy: ${remedy}`, out, '    '),
  ].join('');
}

function ending({ steps, refusals }: PlanReport): string {
  if (steps.length === 0) return 'Nothing was done.';
  const codes = [...new Set(refusals.map(({ code }) => code))];
  const overrides = codes.map((code) => ` --override ${code}`).join('');
  const condition = codes.length > 0 ? ' if you know better than the check' : '';
  return `Nothing was done. To do it${condition}: the same with --json > plan.json, then \`ringfence apply plan.json${overrides}\`.`;
}
