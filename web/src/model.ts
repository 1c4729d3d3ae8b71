/** The model of the kernel and all readers, in the page: opened files never leave it. */

import './buffer.ts';
import { Explorer } from '../../src/advise/explore.ts';
import { answerWhatIf, type WhatIfAnswer, type WhatIfQuestion } from '../../src/advise/explore-what-if.ts';
import type { DiffReport, ExploreDevice, ExploreReport, ExportReport } from '../../src/advise/report.ts';
import type { GoalReport } from '../../src/advise/report-whatif.ts';
import { readForm } from '../../src/host/forms.ts';
import { redact } from '../../src/host/redact.ts';
import type { Snapshot } from '../../src/host/snapshot.ts';
import { InputError } from '../../src/kernel/errors.ts';
import { PciIds } from '../../src/pci/ids.ts';
import type { Source } from './source.ts';

/** Largest size a file may unpack to. */
const LIMIT = 256 * 1024 * 1024;

let ids: Promise<PciIds> | undefined;

/** Names of devices from the server; where the page is a file, those it brought along. */
async function pciIds(): Promise<PciIds> {
  const brought = document.getElementById('ringfence-pci-ids')?.textContent;
  if (brought != null) return new PciIds(brought);
  if (!location.protocol.startsWith('http')) return new PciIds('');
  try {
    const answer = await fetch('/api/pci.ids');
    return new PciIds(answer.ok ? new Uint8Array(await answer.arrayBuffer()) : '');
  } catch {
    return new PciIds('');
  }
}

export class LocalSource implements Source {
  readonly name: string;
  readonly live = false;
  readonly explorer: Explorer;

  constructor(name: string, explorer: Explorer) {
    this.name = name;
    this.explorer = explorer;
  }

  async overview(): Promise<ExploreReport> {
    return this.explorer.overview();
  }

  async device(name: string): Promise<ExploreDevice> {
    return this.explorer.device(name);
  }

  async export(format: string, names: string[], iommufd: boolean): Promise<ExportReport> {
    return this.explorer.export(format, names, { style: iommufd ? 'iommufd' : 'legacy' });
  }

  async whatIf(question: WhatIfQuestion): Promise<WhatIfAnswer> {
    return answerWhatIf(this.explorer, question);
  }

  async goal(device: string): Promise<GoalReport> {
    return this.explorer.goal(device);
  }

  async snapshot(): Promise<Snapshot> {
    return redact(this.explorer.snapshot);
  }
}

export async function localSource(name: string, snapshot: Snapshot): Promise<LocalSource> {
  ids ??= pciIds();
  return new LocalSource(name, new Explorer(snapshot, await ids));
}

/** @throws InputError saying what is wrong with the file */
export async function openFile(file: File): Promise<LocalSource> {
  if (file.size > LIMIT) throw new InputError(file.name, 'longer than 256 MiB');
  const bytes = await unpacked(new Uint8Array(await file.arrayBuffer()), file.name);
  return localSource(file.name, await readForm(bytes, file.name));
}

export async function openText(name: string, text: string): Promise<LocalSource> {
  return localSource(name, await readForm(new TextEncoder().encode(text), name));
}

export function diff(before: LocalSource, after: LocalSource): DiffReport {
  return before.explorer.diff(after.explorer);
}

async function unpacked(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const pieces: Uint8Array[] = [];
  let total = 0;
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip')).getReader();
  for (;;) {
    let piece: ReadableStreamReadResult<Uint8Array>;
    try {
      piece = await reader.read();
    } catch {
      throw new InputError(name, 'gzip data is broken or cut off');
    }
    if (piece.done) return Buffer.concat(pieces);
    total += piece.value.length;
    if (total > LIMIT) throw new InputError(name, 'unpacks to more than 256 MiB');
    pieces.push(piece.value);
  }
}
