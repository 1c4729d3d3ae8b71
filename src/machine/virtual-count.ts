/** Another number of virtual functions on a physical one. */

import { configOf } from '../host/facts.ts';
import type { PciFacts } from '../host/snapshot.ts';
import { InputError } from '../kernel/errors.ts';
import { ExtendedId, extendedCapabilities } from '../pci/capabilities.ts';
import { unknownFacts } from '../pci/decode.ts';
import { PcieType } from '../pci/facts.ts';
import type { TreeFunction } from './slot-tree.ts';
import { patched } from './write-tree.ts';

/**
 * Switches SR-IOV to `count` virtual functions, 0 for off: those there are stay as they are.
 * @throws InputError where the function has no SR-IOV, less of them, or does not tell where they would be
 */
export function setVirtualFunctions(one: TreeFunction, name: string, count: number): void {
  const { sriov } = one.read;
  if (!sriov) {
    const why = sriov === null ? 'has no SR-IOV' : 'may have SR-IOV: its capabilities were not read';
    throw new InputError(name, why);
  }
  if (count > sriov.totalVfs)
    throw new InputError(name, `has ${sriov.totalVfs} virtual functions at most, not ${count}`);
  if (count > 0 && (sriov.offset === 0 || (count > 1 && sriov.stride === 0)))
    throw new InputError(name, 'does not tell where its virtual functions would be');
  const distances = Array.from({ length: count }, (_, n) => sriov.offset + n * sriov.stride);
  if (count > 0 && (distances.at(-1) ?? 0) > 0xffff)
    throw new InputError(name, 'has virtual functions beyond the last bus');
  const present = new Map(one.virtual.map((vf) => [vf.distance, vf]));
  const [example] = one.virtual;
  one.virtual = distances.map(
    (distance) =>
      present.get(distance) ?? { facts: example === undefined ? fresh(one) : like(example.facts), distance },
  );
  one.facts = withCount(one.facts, count);
}

function like(facts: PciFacts): PciFacts {
  const { vfioDevice: _, numaNode: __, irq: ___, ...rest } = facts;
  return { ...rest, driver: null };
}

/** What the kernel knows of one before any register of it is read. */
function fresh({ facts, read }: TreeFunction): PciFacts {
  const vfDevice = read.sriov?.vfDevice;
  return {
    address: '',
    ...(facts.vendor !== undefined && { vendor: facts.vendor }),
    ...(vfDevice !== undefined && { device: vfDevice }),
    ...(facts.class !== undefined && { class: facts.class }),
    ...(facts.iommu !== undefined && { iommu: facts.iommu }),
    said: {
      ...unknownFacts(),
      headerType: 0,
      multifunctionBit: false,
      bridge: null,
      pcie: { type: PcieType.Endpoint, flr: true },
      acs: null,
      sriov: null,
      idsHidden: true,
    },
    driver: null,
    // Stands for the function it is of, whose address is written in later.
    physfn: facts.address,
  };
}

const CONTROL = 0x08;
const NUM_VFS = 0x10;
const VF_ENABLE = 1;

function withCount(facts: PciFacts, count: number): PciFacts {
  const { config, said } = facts;
  if (config === undefined) {
    if (!said?.sriov) return facts;
    return { ...facts, said: { ...said, sriov: { ...said.sriov, enabled: count > 0, numVfs: count } } };
  }
  const space = configOf(facts)!;
  const at = extendedCapabilities(space, true).entries.find(({ id }) => id === ExtendedId.Sriov)?.at;
  const control = at === undefined ? undefined : space.word(at + CONTROL);
  if (at === undefined || control === undefined) return facts;
  const enabled = count > 0 ? control | VF_ENABLE : control & ~VF_ENABLE;
  const bytes = patched(patched(config.bytes, at + CONTROL, hexWord(enabled)), at + NUM_VFS, hexWord(count));
  return { ...facts, config: { ...config, bytes } };
}

/** 16 bits as they stand in memory. */
function hexWord(value: number): string {
  const text = value.toString(16).padStart(4, '0');
  return text.slice(2) + text.slice(0, 2);
}
