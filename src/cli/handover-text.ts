/** `apply` and `undo` for reading. */

import type { ApplyReport, DriverState, HandoverList, ReturnedDevice, UndoReport } from '../advise/report.ts';
import { type Output, table, wrap } from './output.ts';
import { refusalText, valueText } from './plan-text.ts';

export function applyText(report: ApplyReport, out: Output): string {
  const { bold, green, red } = out.colors;
  const parts: string[] = [];
  const { recovered, result } = report;
  if (recovered !== undefined) {
    parts.push(
      wrap(
        `Hand-over ${recovered.id} had been left unfinished; ${recovered.how}, because ${recovered.why}.`,
        out,
      ),
    );
    parts.push(...recovered.devices.map((device) => returnedText(device, out)));
  }
  const good = result === 'applied' || result === 'finished' || result === 'nothing to do';
  parts.push(wrap(`${bold((good ? green : red)(headline(report)))} ${sequel(report)}`.trimEnd(), out));
  if (report.problem !== undefined) parts.push(wrap(report.problem, out, '  '));
  for (const difference of report.differences) parts.push(wrap(difference, out, '  ', '    '));
  parts.push(...report.refusals.map((refusal) => refusalText(refusal, out)));
  parts.push(...writesText(report.writes));
  for (const note of report.notes) parts.push(wrap(`note: ${note}`, out, '', '  '));
  return parts.join('');
}

function headline({ result, id }: ApplyReport): string {
  switch (result) {
    case 'applied':
      return `Done: hand-over ${id}.`;
    case 'finished':
      return `Finished: hand-over ${id}.`;
    case 'nothing to do':
      return 'Nothing to do.';
    case 'refused':
      return 'Refused; nothing was written.';
    case 'rolled back':
      return 'Failed; everything is as it was.';
    case 'not rolled back':
      return `Failed, and hand-over ${id} could not be taken back.`;
  }
}

function sequel({ result, id, differences, refusals }: ApplyReport): string {
  if (result === 'applied' || result === 'finished') return `\`ringfence undo ${id}\` takes it back.`;
  if (result === 'not rolled back') return `Mend what is in the way, then \`ringfence undo ${id}\`.`;
  if (differences.length > 0) return 'The machine is not as the plan assumes; plan again.';
  if (refusals.length > 0) return 'The check refuses; --override NAME overrides a reason by its name.';
  return '';
}

export function undoText(report: UndoReport, out: Output): string {
  const { bold, green, red } = out.colors;
  const { result, id, why } = report;
  const words: Record<UndoReport['result'], string> = {
    undone: `Undone: hand-over ${id}`,
    'nothing to undo': 'Nothing to undo',
    'not undone': `Hand-over ${id} could not be undone`,
    forgotten: `Forgotten: hand-over ${id}; no device was touched`,
  };
  const reason = why === undefined ? '.' : `: ${why}.`;
  return [
    wrap(bold((result === 'not undone' ? red : green)(words[result] + reason)), out),
    ...report.devices.map((device) => returnedText(device, out)),
    ...writesText(report.writes),
    ...report.notes.map((note) => wrap(`note: ${note}`, out, '', '  ')),
  ].join('');
}

export function handoverListText({ handovers }: HandoverList, out: Output): string {
  if (handovers.length === 0) return 'No hand-over is on record.\n';
  const rows = handovers.map(({ id, state, time, driver, tree, devices }) => [
    String(id),
    state,
    time?.slice(0, 16).replace('T', ' ') ?? '',
    driver ?? '',
    tree ?? '',
    devices.join(' '),
  ]);
  return table([['ID', 'STATE', 'TIME (UTC)', 'DRIVER', 'TREE', 'DEVICES'], ...rows], out, new Set([0]));
}

function returnedText({ device, to, from, outcome, problem }: ReturnedDevice, out: Output): string {
  const words: Record<ReturnedDevice['outcome'], string> = {
    returned: `back with ${stateText(to)}, from ${from === undefined ? 'nothing' : stateText(from)}`,
    'was there': `with ${stateText(to)}, as it was`,
    gone: 'is gone; nothing to return',
    'another device': 'is another device now; left alone',
    failed: `not returned to ${stateText(to)}: ${problem}`,
  };
  return wrap(`${device} ${words[outcome]}`, out, '  ', '    ');
}

function stateText({ driver, override }: DriverState): string {
  return `${driver ?? 'no driver'}${override ? ` (driver_override ${override})` : ''}`;
}

/** Paths are never cut: they are there to be copied. */
function writesText(writes: ApplyReport['writes']): string[] {
  return writes.map(({ path, value }) => `  ${path} <- ${valueText(value)}\n`);
}
