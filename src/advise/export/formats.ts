/** The formats of `export`, in the order help shows them. */

import { InputError } from '../../kernel/errors.ts';
import { cdi } from './cdi.ts';
import { dot } from './dot.ts';
import { dra } from './dra.ts';
import type { Exporter } from './exporter.ts';
import { html } from './html.ts';
import { kubevirt } from './kubevirt.ts';
import { libvirt } from './libvirt.ts';
import { modprobe } from './modprobe.ts';
import { prometheus } from './prometheus.ts';
import { proxmox } from './proxmox.ts';
import { proxmoxMapping } from './proxmox-mapping.ts';
import { qemu } from './qemu.ts';
import { svg } from './svg.ts';

export const EXPORTERS: readonly Exporter[] = [
  libvirt,
  qemu,
  proxmox,
  proxmoxMapping,
  kubevirt,
  dra,
  cdi,
  modprobe,
  prometheus,
  dot,
  svg,
  html,
];

/** @throws InputError for a name that is no format */
export function findExporter(name: string | undefined): Exporter {
  const found = EXPORTERS.find((exporter) => exporter.name === name);
  if (found !== undefined) return found;
  const names = EXPORTERS.map((exporter) => exporter.name).join(', ');
  throw new InputError(
    '--format',
    name === undefined ? `say which: ${names}` : `knows ${names}, not '${name}'`,
  );
}
