/**
 * The format of snapshot files, version 1. `schema/snapshot.json` is made from this; `snapshot.ts` has the same
 * shape as types, so that only readers of files need zod.
 *
 * Fields that are not listed here are an error: the rules of a newer program may depend on a field that this one
 * would ignore, and a typing error would turn a fact into "unknown". A format with more fields has a higher
 * version.
 */

import { z } from 'zod';
import { FILE_NAME } from '../kernel/file-name.ts';
import { SNAPSHOT_VERSION } from './snapshot.ts';

/** Bounds the memory a file can make the model use; no machine comes near. */
const MOST_DEVICES = 1 << 20;

const address = z
  .string()
  .regex(/^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/)
  .describe('Full PCI address, lower case: 0000:01:00.0');
const text = z.string().max(4096);
/** A name that sysfs has a file of. */
const fileName = text.regex(FILE_NAME, 'is no file name');
const hexNumber = z.string().regex(/^0x[0-9a-f]{1,16}$/i);
const unsigned = (bits: number) =>
  z
    .int()
    .min(0)
    .max(2 ** bits - 1);

const pcie = z.strictObject({
  type: unsigned(4),
  flr: z.boolean().optional(),
  ariForwarding: z.boolean().optional(),
  ariForwardingEnabled: z.boolean().optional(),
});

const acs = z.strictObject({
  capability: unsigned(16),
  control: unsigned(16),
  at: unsigned(12).optional(),
  wide: z.strictObject({ capability: unsigned(32), control: unsigned(32) }).optional(),
});

const sriov = z.strictObject({
  enabled: z.boolean(),
  numVfs: unsigned(16),
  totalVfs: unsigned(16),
  offset: unsigned(16),
  stride: unsigned(16),
  vfDevice: unsigned(16).optional(),
});

/** Absent: unknown; null: known to be absent. */
const fact = <T extends z.ZodType>(value: T) => value.nullable().optional();

const said = z
  .strictObject({
    headerType: unsigned(7).optional(),
    multifunctionBit: z.boolean().optional(),
    bridge: fact(z.strictObject({ primary: unsigned(8), secondary: unsigned(8), subordinate: unsigned(8) })),
    pcie: fact(pcie),
    acs: fact(acs),
    ari: fact(z.strictObject({})),
    sriov: fact(sriov),
    pmReset: fact(z.boolean()),
    afFlr: fact(z.boolean()),
    pasid: fact(z.strictObject({ bits: unsigned(8) })),
    ats: fact(z.strictObject({ enabled: z.boolean().optional() })),
    iommuCapability: fact(unsigned(32)),
    cxlPort: fact(z.strictObject({ busResetMasked: z.boolean() })),
    idsHidden: z.boolean().optional(),
    damaged: text.optional(),
  })
  .describe('Facts told in words, where no configuration space was read');

const config = z
  .strictObject({
    bytes: z
      .string()
      .max(8192)
      .regex(/^[0-9a-f]*$/)
      .refine((hex) => hex.length % 2 === 0, 'half a byte at the end')
      .describe('Lower-case hex; bytes between its end and `read` are zero'),
    read: z.int().min(0).max(4096),
    size: z.union([z.literal(256), z.literal(4096)]).optional(),
  })
  .refine((value) => value.bytes.length <= value.read * 2, {
    path: ['bytes'],
    error: 'more bytes than were read',
  });

const pci = z.strictObject({
  address,
  path: text.optional(),
  vendor: unsigned(16).optional(),
  device: unsigned(16).optional(),
  subsystemVendor: unsigned(16).optional(),
  subsystemDevice: unsigned(16).optional(),
  class: unsigned(24).optional(),
  revision: unsigned(8).optional(),
  config: config.optional(),
  said: said.optional(),
  label: text.optional(),
  driver: fileName.nullable().optional(),
  driverOverride: text.nullable().optional(),
  modules: z.array(text).optional(),
  physfn: address.nullable().optional(),
  iommu: text.nullable().optional(),
  numaNode: z.int().min(-1).max(0xffffff).optional(),
  irq: unsigned(31).optional(),
  resetMethods: z.array(text).optional(),
  vfioDevice: z
    .string()
    .regex(/^vfio[0-9]{1,9}$/)
    .nullable()
    .optional(),
  powerState: text.optional(),
  bootVga: z.boolean().optional(),
  removable: text.optional(),
  resources: z
    .array(z.strictObject({ start: hexNumber, end: hexNumber, flags: hexNumber }))
    .max(64)
    .optional(),
});

const other = z.strictObject({
  name: fileName,
  bus: fileName.refine((name) => name !== 'pci', 'PCI functions stand in devices').optional(),
  path: text.optional(),
  driver: fileName.nullable().optional(),
  iommu: text.nullable().optional(),
});

const group = z.strictObject({
  id: unsigned(31),
  type: text.optional(),
  name: text.optional(),
  reservedRegions: z.array(z.strictObject({ start: hexNumber, end: hexNumber, type: text })).optional(),
  devices: z.array(text),
});

const iommu = z.strictObject({
  name: fileName,
  registers: z.record(text, text).optional(),
  path: text.optional(),
});

const usage = z.strictObject({
  device: address.nullable().describe('null: in use, and through which function cannot be told'),
  kind: z.enum(['root', 'mount', 'swap', 'volume', 'network', 'route', 'display', 'input']),
  detail: text,
  through: text.optional(),
});

export const snapshotSchema = z
  .strictObject({
    ringfence: z.literal('snapshot'),
    version: z.literal(SNAPSHOT_VERSION),
    form: z.enum(['live', 'sysfs', 'lspci', 'hexdump']),
    board: text.optional(),
    arch: text.optional(),
    kernel: z.strictObject({
      release: text.optional(),
      version: text.optional(),
      cmdline: z.string().max(65536).optional(),
    }),
    devices: z.array(pci).max(MOST_DEVICES),
    others: z.array(other).max(MOST_DEVICES),
    groups: z.array(group).max(MOST_DEVICES).optional(),
    iommus: z.array(iommu).optional(),
    acpi: z.record(
      z.string().regex(/^[A-Z0-9]{4}$/),
      z
        .string()
        .max(1 << 22)
        .regex(/^[0-9a-f]*$/)
        .refine((hex) => hex.length % 2 === 0, 'half a byte at the end'),
    ),
    deviceOrder: z.array(address).optional(),
    usage: z.array(usage).max(MOST_DEVICES).optional(),
    notes: z.array(text).optional(),
  })
  .meta({
    title: 'Ringfence snapshot',
    description:
      'Facts of one machine. A field that is absent is unknown; null and empty lists are known to be none.',
  });

/** The published JSON Schema, as text of `schema/snapshot.json`. */
export function jsonSchemaText(): string {
  return `${JSON.stringify(z.toJSONSchema(snapshotSchema, { io: 'input' }), null, 2)}\n`;
}
