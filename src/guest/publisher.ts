/** Publishes the address spaces of a session, for whoever shows them. */

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../iommufd/context.ts';
import type { HwptPaging } from '../iommufd/hwpt-paging.ts';
import type { Ioas } from '../iommufd/ioas.ts';
import type { Iommufd } from '../iommufd/iommufd.ts';
import { isOurs, type SessionPicture } from './sessions.ts';

/** Milliseconds between pictures while calls come. */
const PACE = 200;
/** Areas of one address space that are shown. */
const MOST_AREAS = 1000;

export class Publisher {
  readonly #folder: string;
  readonly #picture: () => SessionPicture;
  readonly #clock: () => number;
  #last = Number.NEGATIVE_INFINITY;
  #text = '';
  #failed = false;

  constructor(folder: string, picture: () => SessionPicture, clock: () => number = () => performance.now()) {
    this.#folder = folder;
    this.#picture = picture;
    this.#clock = clock;
  }

  /** After a call: at most every 200 ms. */
  called(): void {
    if (this.#clock() - this.#last >= PACE) this.publish();
  }

  /** Where something changed. A folder that cannot be written is given up: the program is not to suffer. */
  publish(): void {
    if (this.#failed) return;
    this.#last = this.#clock();
    const picture = this.#picture();
    const text = JSON.stringify(picture);
    if (text === this.#text) return;
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      this.#failed = !isOurs(this.#folder);
      if (this.#failed) return;
      const file = join(this.#folder, `${picture.pid}.json`);
      rmSync(`${file}.new`, { force: true });
      writeFileSync(`${file}.new`, text, { mode: 0o600, flag: 'wx' });
      renameSync(`${file}.new`, file);
      this.#text = text;
    } catch {
      this.#failed = true;
    }
  }
}

export function unpublish(folder: string, pid: number): void {
  for (const ending of ['json', 'json.new']) {
    try {
      rmSync(join(folder, `${pid}.${ending}`), { force: true });
    } catch {
      // Whoever reads it sees that the process is gone.
    }
  }
}

/** Without page tables: those of a large space would take longer than the calls. */
export function describeSession(iommufd: Iommufd, pid: number, program: string): SessionPicture {
  return { pid, program, contexts: [...iommufd.contexts].map(describeContext) };
}

function describeContext(context: Context): SessionPicture['contexts'][number] {
  const objects = [...context.objects];
  return {
    label: context.label,
    objects: objects.map(({ id, type, users }) => ({ id, type, users })),
    spaces: objects.filter(({ type }) => type === 'ioas').map((object) => describeSpace(object as Ioas)),
    hwpts: objects
      .filter(({ type }) => type === 'hwpt-paging')
      .map((object) => {
        const { id, ioas, domain } = object as HwptPaging;
        return { id, ioas: ioas.id, domain: domain.label };
      }),
  };
}

function describeSpace({ id, iovas }: Ioas): SessionPicture['contexts'][number]['spaces'][number] {
  const areas: { iova: string; last: string; prot: number }[] = [];
  let more = 0;
  for (const { value } of iovas.areas) {
    if (areas.length === MOST_AREAS) more++;
    else
      areas.push({
        iova: `0x${value.iova.toString(16)}`,
        last: `0x${value.last.toString(16)}`,
        prot: value.prot,
      });
  }
  return { id, areas, more };
}
