import { resolveLink } from './file-tree.ts';
import { fullAddress, type HostTree, under } from './host-tree.ts';
import type { UsageFacts, UsageKind } from './snapshot.ts';

/** Mounts of a container host run into thousands; a report names a few for each device. */
const MOST_ENTRIES = 4096;
const LONGEST_DETAIL = 255;

/** What is in use, each thing once, in the order found. */
export class UsageList {
  readonly entries: UsageFacts[] = [];
  dropped = 0;
  readonly #cut = new Set<UsageKind>();
  readonly #seen = new Set<string>();

  add(device: string | null, kind: UsageKind, detail: string, through?: string): void {
    const entry: UsageFacts = {
      device,
      kind,
      detail: printable(detail),
      ...(through !== undefined && { through: printable(through) }),
    };
    const key = JSON.stringify([entry.device, kind, entry.detail, entry.through]);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    if (this.entries.length < MOST_ENTRIES) this.entries.push(entry);
    else {
      this.dropped++;
      this.#cut.add(kind);
    }
  }

  /** Kinds of which there is more than the list holds. */
  get cut(): UsageKind[] {
    return [...this.#cut];
  }

  /** Whether the data behind `through` is in use already, by whatever stands on it. */
  covers(device: string, through: string): boolean {
    return this.entries.some((entry) => entry.device === device && entry.through === through);
  }
}

/** One line of plain text, whatever a mount point is called. */
function printable(text: string): string {
  return text.slice(0, LONGEST_DETAIL).replace(/[\p{C}\p{Z}]/gu, (char) => (char === ' ' ? char : '?'));
}

/** The directory a link of the tree leads to. */
export function linkedDir(tree: HostTree, path: string): string | undefined {
  const target = tree.files.link(path);
  return target === undefined ? undefined : resolveLink(path, target);
}

/** The PCI function nearest above a directory below /sys/devices. */
export function pciAbove(tree: HostTree, dir: string): string | undefined {
  const prefix = under(tree.sys, 'devices/');
  if (!dir.startsWith(prefix)) return undefined;
  for (const name of dir.slice(prefix.length).split('/').reverse()) {
    const address = fullAddress(name);
    if (address !== undefined) return address;
  }
  return undefined;
}

/** A name out of /proc that is about to become part of a path. */
export function safeName(name: string): string | undefined {
  return /^[^/\0]{1,255}$/.test(name) && name !== '.' && name !== '..' ? name : undefined;
}
