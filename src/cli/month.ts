/** Months on the command line. */

import { InputError } from '../kernel/errors.ts';

export interface Month {
  year: number;
  /** 1 to 12. */
  month: number;
}

export function thisMonth(): Month {
  const now = new Date();
  return { year: now.getUTCFullYear(), month: now.getUTCMonth() + 1 };
}

/** @throws InputError not `2026-11` */
export function readMonth(text: string, option: string): Month {
  const [, year, month] = /^(\d{4})-(0[1-9]|1[0-2])$/.exec(text) ?? [];
  if (year === undefined) throw new InputError(option, `expects year and month as 2026-11, not '${text}'`);
  return { year: Number(year), month: Number(month) };
}
