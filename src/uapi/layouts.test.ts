/** What the tables say of structs and numbers, against what a C compiler says of the kernel's own headers. */

import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HwCapability } from '../iommufd/calls/get-hw-info.ts';
import { HwptAllocFlag } from '../iommufd/calls/hwpt-alloc.ts';
import { MapFlag } from '../iommufd/calls/map-flags.ts';
import { OptionId, OptionOp } from '../iommufd/calls/option.ts';
import { VfioIoasOp } from '../iommufd/calls/vfio-ioas.ts';
import { TestOp } from '../iommufd/selftest/numbers.ts';
import { DmaMapFlag, GroupFlag, IrqFlag, RegionFlag, VfioExtension } from '../iommufd/vfio/constants.ts';
import type { CallShape } from './call-shape.ts';
import * as iommufdStructs from './iommufd-structs.ts';
import { IOMMUFD_CALLS } from './iommufd-table.ts';
import * as queueStructs from './queue-structs.ts';
import { TEST_CALL, TEST_OPS } from './selftest-table.ts';
import { Struct } from './struct.ts';
import { CONTAINER_CALLS } from './vfio-container-table.ts';
import { DEVICE_CALLS } from './vfio-device-file.ts';
import { GROUP_CALLS } from './vfio-group-file.ts';
import * as vfioStructs from './vfio-structs.ts';

interface Described {
  readonly struct: Struct<never>;
  readonly about: string;
}

const structsOf = (exports: object): Described[] =>
  Object.values(exports)
    .filter((value): value is Struct<never> => value instanceof Struct)
    .map((struct) => ({ struct, about: struct.name }));

const STRUCTS: Described[] = [
  ...structsOf(iommufdStructs),
  ...structsOf(queueStructs),
  ...structsOf(vfioStructs),
  ...Object.values(TEST_OPS).map(({ struct, name }) => ({
    struct: struct as unknown as Struct<never>,
    about: `iommu_test_cmd for ${name}`,
  })),
];
const CALLS: readonly CallShape[] = [
  ...IOMMUFD_CALLS,
  TEST_CALL,
  ...CONTAINER_CALLS,
  ...GROUP_CALLS,
  ...DEVICE_CALLS,
];
const NUMBERS: Readonly<Record<string, number>> = {
  IOMMU_IOAS_MAP_FIXED_IOVA: MapFlag.FixedIova,
  IOMMU_IOAS_MAP_WRITEABLE: MapFlag.Writeable,
  IOMMU_IOAS_MAP_READABLE: MapFlag.Readable,
  IOMMU_OPTION_RLIMIT_MODE: OptionId.RlimitMode,
  IOMMU_OPTION_HUGE_PAGES: OptionId.HugePages,
  IOMMU_OPTION_OP_SET: OptionOp.Set,
  IOMMU_OPTION_OP_GET: OptionOp.Get,
  IOMMU_VFIO_IOAS_GET: VfioIoasOp.Get,
  IOMMU_VFIO_IOAS_SET: VfioIoasOp.Set,
  IOMMU_VFIO_IOAS_CLEAR: VfioIoasOp.Clear,
  IOMMU_HWPT_ALLOC_NEST_PARENT: HwptAllocFlag.NestParent,
  IOMMU_HWPT_ALLOC_DIRTY_TRACKING: HwptAllocFlag.DirtyTracking,
  IOMMU_HWPT_FAULT_ID_VALID: HwptAllocFlag.FaultIdValid,
  IOMMU_HWPT_ALLOC_PASID: HwptAllocFlag.Pasid,
  IOMMU_HW_CAP_DIRTY_TRACKING: HwCapability.DirtyTracking,
  IOMMU_HW_CAP_PCI_PASID_EXEC: HwCapability.PasidExec,
  IOMMU_HW_CAP_PCI_PASID_PRIV: HwCapability.PasidPrivileged,
  IOMMU_TEST_OP_ADD_RESERVED: TestOp.AddReserved,
  IOMMU_TEST_OP_TRIGGER_IOPF: TestOp.TriggerIopf,
  VFIO_TYPE1_IOMMU: VfioExtension.Type1,
  VFIO_TYPE1v2_IOMMU: VfioExtension.Type1v2,
  VFIO_DMA_CC_IOMMU: VfioExtension.DmaCoherent,
  VFIO_NOIOMMU_IOMMU: VfioExtension.NoIommu,
  VFIO_UNMAP_ALL: VfioExtension.UnmapAll,
  VFIO_DMA_MAP_FLAG_READ: DmaMapFlag.Read,
  VFIO_DMA_MAP_FLAG_WRITE: DmaMapFlag.Write,
  VFIO_GROUP_FLAGS_VIABLE: GroupFlag.Viable,
  VFIO_GROUP_FLAGS_CONTAINER_SET: GroupFlag.ContainerSet,
  VFIO_REGION_INFO_FLAG_MMAP: RegionFlag.Mmap,
  VFIO_IRQ_INFO_NORESIZE: IrqFlag.NoResize,
};

/** `include/uapi` of a kernel's source; where `npm run conformance` keeps it unless told. */
const CACHE = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
const UAPI =
  process.env.RINGFENCE_KERNEL_HEADERS ?? join(CACHE, 'ringfence/conformance/linux-source-6.12/include/uapi');
const SETS = [
  {
    set: 'linux-libc-dev',
    files: { 'iommufd.h': '/usr/include/linux/iommufd.h', 'vfio.h': '/usr/include/linux/vfio.h' },
  },
  {
    set: 'kernel source',
    files: {
      'iommufd.h': join(UAPI, 'linux/iommufd.h'),
      'vfio.h': join(UAPI, 'linux/vfio.h'),
      'iommufd_test.h': join(UAPI, '../../drivers/iommu/iommufd/iommufd_test.h'),
    },
  },
];

const compiler = ['cc', 'gcc', 'clang'].find((name) => {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});

/** Whether a header has a word; macros, fields and structs alike. */
function mentions(text: string, word: string): boolean {
  return new RegExp(`\\b${word}\\b`).test(text);
}

/** The part of a header that declares a struct. */
function bodyOf(text: string, struct: string): string | undefined {
  const at = new RegExp(`^struct ${struct} \\{$`, 'm').exec(text);
  return at === null ? undefined : text.slice(at.index, text.indexOf('\n}', at.index));
}

describe.each(SETS)('$set', ({ files }) => {
  const present = Object.entries(files).filter(([, path]) => existsSync(path));
  const text = present.map(([, path]) => readFileSync(path, 'utf8')).join('\n');
  const said = new Map<string, number>();
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ringfence-layouts-'));
    if (compiler === undefined || present.length === 0) return;
    mkdirSync(join(folder, 'include/linux'), { recursive: true });
    for (const [name, path] of present) copyFileSync(path, join(folder, 'include/linux', name));
    const program = join(folder, 'layouts');
    writeFileSync(
      `${program}.c`,
      cProgram(
        present.map(([name]) => name),
        text,
      ),
    );
    const flags = [
      '-w',
      '-D__user=',
      '-isystem',
      join(folder, 'include'),
      '-isystem',
      join(folder, 'include/linux'),
    ];
    execFileSync(compiler, [...flags, '-o', program, `${program}.c`], { stdio: 'pipe' });
    for (const line of execFileSync(program, { encoding: 'utf8' }).trim().split('\n')) {
      const [what, value] = line.split('=') as [string, string];
      said.set(what, Number(value));
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const why = (missing: string | undefined) =>
    compiler === undefined ? 'no C compiler' : present.length === 0 ? 'these headers are not here' : missing;

  for (const { struct, about } of STRUCTS) {
    it(`struct ${about} lies as in C`, ({ skip }) => {
      const body = bodyOf(text, struct.name);
      const reason = why(body === undefined ? 'newer than these headers' : undefined);
      if (reason !== undefined) return skip(reason);
      const fields = struct.cFields.filter(({ name }) => hasField(body!, name));
      const newer = struct.cFields.length - fields.length;
      if (fields.length === 0) return skip('its fields are newer than these headers');
      for (const { name, offset, size } of fields) {
        expect([name, said.get(`${struct.name}.${name}@`)]).toEqual([name, offset]);
        expect([name, said.get(`${struct.name}.${name}#`)]).toEqual([name, size]);
      }
      if (newer === 0 && GROWN[struct.name] === undefined)
        expect(said.get(`${struct.name}#`)).toBe(struct.size);
      else expect(said.get(`${struct.name}#`)).toBeLessThanOrEqual(struct.size);
      return undefined;
    });
  }

  for (const { name, command } of CALLS) {
    it(`${name} is 0x${command.toString(16)}`, ({ skip }) => {
      const reason = why(mentions(text, name) ? undefined : 'newer than these headers');
      if (reason !== undefined) return skip(reason);
      expect(said.get(name)).toBe(command);
      return undefined;
    });
  }

  for (const [name, value] of Object.entries(NUMBERS)) {
    it(`${name} is ${value}`, ({ skip }) => {
      const reason = why(mentions(text, name) ? undefined : 'newer than these headers');
      if (reason !== undefined) return skip(reason);
      expect(said.get(name)).toBe(value);
      return undefined;
    });
  }
});

/** Only padding was added. */
const GROWN: Readonly<Record<string, true>> = { vfio_device_info: true };

function hasField(body: string, name: string): boolean {
  return name.split('.').every((part) => mentions(body, part));
}

/** Prints `struct.field@=offset`, `struct.field#=size`, `struct#=size` and `NAME=value`. */
function cProgram(headers: readonly string[], text: string): string {
  const lines: string[] = [];
  const print = (what: string, value: string) =>
    lines.push(`printf("${what}=%lu\\n", (unsigned long)(${value}));`);
  for (const { struct } of STRUCTS) {
    const body = bodyOf(text, struct.name);
    if (body === undefined) continue;
    print(`${struct.name}#`, `sizeof(struct ${struct.name})`);
    for (const { name } of struct.cFields.filter((field) => hasField(body, field.name))) {
      print(`${struct.name}.${name}@`, `__builtin_offsetof(struct ${struct.name}, ${name})`);
      print(`${struct.name}.${name}#`, `sizeof(((struct ${struct.name} *)0)->${name})`);
    }
  }
  for (const { name } of CALLS) if (mentions(text, name)) print(name, name);
  for (const name of Object.keys(NUMBERS)) if (mentions(text, name)) print(name, name);
  const includes = headers.map((name) => `#include <linux/${name}>`).join('\n');
  return `#include <stdio.h>\n${includes}\nint main(void) {\n${lines.join('\n')}\nreturn 0;\n}\n`;
}
