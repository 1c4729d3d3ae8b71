/** The names one file of sysfs has on a machine: its own place, and those through its devices' buses and classes. */

import { baseName, resolveLink } from './file-tree.ts';
import { type HostTree, under } from './host-tree.ts';

/** As many links in a row as the kernel follows. */
const MOST_LINKS = 40;

/** Other paths of `/sys/…`, as links of the machine tell; none where it is not there. */
export function sysfsAliases(tree: HostTree, path: string): string[] {
  if (!path.startsWith('/sys/')) return [];
  const real = realPath(tree, path.slice('/sys/'.length));
  if (real === undefined) return [];
  const names = [real, ...throughDevices(tree, real)].map((name) => `/sys/${name}`);
  return [...new Set(names)].filter((name) => name !== path);
}

/** Below sysfs, with every link on the way followed; the last name need not be there. */
function realPath({ files, sys }: HostTree, path: string): string | undefined {
  const rest = path
    .split('/')
    .filter((part) => part !== '')
    .reverse();
  let at = '';
  let links = 0;
  while (rest.length > 0) {
    const part = rest.pop()!;
    if (part === '.' || part === '..') return undefined;
    const next = under(at, part);
    const target = files.link(under(sys, next));
    const led = target === undefined ? next : resolveLink(next, target);
    if (led === undefined || (target !== undefined && ++links > MOST_LINKS)) return undefined;
    if (target === undefined) at = next;
    else {
      rest.push(...led.split('/').reverse());
      at = '';
    }
  }
  return files.exists(under(sys, at)) || at !== path ? at : undefined;
}

/** Each directory above that is a device is found through its bus or class, too. */
function throughDevices({ files, sys }: HostTree, real: string): string[] {
  const parts = real.split('/');
  return parts.flatMap((name, index) => {
    const device = parts.slice(0, index + 1).join('/');
    const target = files.link(under(sys, `${device}/subsystem`));
    const subsystem = target === undefined ? undefined : resolveLink(`${device}/subsystem`, target);
    if (subsystem === undefined) return [];
    const rest = parts.slice(index + 1);
    const [kind, bus] = [subsystem.split('/')[0], baseName(subsystem)];
    if (kind === 'bus') return [['bus', bus, 'devices', name, ...rest].join('/')];
    return kind === 'class' ? [['class', bus, name, ...rest].join('/')] : [];
  });
}
