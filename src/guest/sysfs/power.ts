/** The directory `power` of a device, as far as everything has one: nothing sleeps in the model. */

import { KernelError } from '../../kernel/errors.ts';
import { plainDirectory, type ViewDirectory, type ViewEntry } from './entry.ts';
import { identityOf } from './identities.ts';
import { constantFile, textFile } from './text-file.ts';

const FIXED: Readonly<Record<string, string>> = {
  async: 'enabled',
  runtime_active_kids: '0',
  runtime_active_time: '0',
  runtime_enabled: 'enabled',
  runtime_status: 'active',
  runtime_suspended_time: '0',
  runtime_usage: '0',
};

/** What was written to `control`, by device. */
const CONTROLS = new WeakMap<object, string>();

export function powerDirectory(path: string, owner: object): ViewDirectory {
  return plainDirectory(path, identityOf(owner, 'power'), () => {
    const files = new Map<string, () => ViewEntry>();
    for (const [name, text] of Object.entries(FIXED)) {
      files.set(name, () => constantFile(`${path}/${name}`, `${text}\n`));
    }
    return files.set('control', () => controlFile(`${path}/control`, owner));
  });
}

/** `control_store`. */
function controlFile(name: string, owner: object) {
  return textFile({
    name,
    mode: 0o644,
    show: () => `${CONTROLS.get(owner) ?? 'on'}\n`,
    store: (text) => {
      const word = text.replace(/\n$/, '');
      if (word !== 'on' && word !== 'auto') throw new KernelError('EINVAL', name, 'is on or auto');
      CONTROLS.set(owner, word);
    },
  });
}
