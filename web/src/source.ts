/** Where a machine's reports come from: the server that shows it, or the model in this page. */

import type { GoalQuestion, WhatIfAnswer, WhatIfQuestion } from '../../src/advise/explore-what-if.ts';
import type { DiffReport, ExploreDevice, ExploreReport, ExportReport } from '../../src/advise/report.ts';
import type { GoalReport } from '../../src/advise/report-whatif.ts';
import type { Snapshot } from '../../src/host/snapshot.ts';

export interface Source {
  readonly name: string;
  /** Changes are told by the server. */
  readonly live: boolean;
  overview(): Promise<ExploreReport>;
  device(name: string): Promise<ExploreDevice>;
  export(format: string, names: string[], iommufd: boolean): Promise<ExportReport>;
  whatIf(question: WhatIfQuestion): Promise<WhatIfAnswer>;
  goal(device: string): Promise<GoalReport>;
  snapshot(): Promise<Snapshot>;
}

/** The code that reads files and boots the model comes when it is first needed. */
export const model = (): Promise<typeof import('./model.ts')> => import('./model.ts');

export async function compare(before: Source, after: Source): Promise<DiffReport> {
  const [{ localSource, diff }, a, b] = await Promise.all([model(), before.snapshot(), after.snapshot()]);
  return diff(await localSource(before.name, a), await localSource(after.name, b));
}

/** A machine the server shows. */
export class RemoteSource implements Source {
  readonly id: number;
  readonly name: string;
  readonly live: boolean;

  constructor({ id, name, live }: { id: number; name: string; live: boolean }) {
    this.id = id;
    this.name = name;
    this.live = live;
  }

  overview(): Promise<ExploreReport> {
    return ask(`/api/machines/${this.id}`);
  }

  device(name: string): Promise<ExploreDevice> {
    return ask(`/api/machines/${this.id}/device?${new URLSearchParams({ name })}`);
  }

  export(format: string, names: string[], iommufd: boolean): Promise<ExportReport> {
    const words = new URLSearchParams({ format, ...(iommufd && { iommufd: '1' }) });
    for (const name of names) words.append('device', name);
    return ask(`/api/machines/${this.id}/export?${words}`);
  }

  whatIf(question: WhatIfQuestion): Promise<WhatIfAnswer> {
    return this.#ask(question);
  }

  goal(goal: string): Promise<GoalReport> {
    return this.#ask({ goal });
  }

  #ask<T>(question: WhatIfQuestion | GoalQuestion): Promise<T> {
    return ask(`/api/machines/${this.id}/what-if`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(question),
    });
  }

  snapshot(): Promise<Snapshot> {
    return ask(`/api/machines/${this.id}/snapshot`);
  }
}

/** The machines of the server this page came from; none where the page is a file. */
export async function served(): Promise<RemoteSource[]> {
  if (!location.protocol.startsWith('http')) return [];
  const lines = await ask<{ id: number; name: string; live: boolean }[]>('/api/machines');
  return lines.map((line) => new RemoteSource(line));
}

async function ask<T>(path: string, init?: RequestInit): Promise<T> {
  const answer = await fetch(path, init);
  const body = await answer.json();
  if (!answer.ok)
    throw new Error((body as { problem?: string }).problem ?? `the server says ${answer.status}`);
  return body as T;
}
