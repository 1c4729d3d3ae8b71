/** IOMMU_TEST_CMD (0xa0) and its ops: one number, one struct, a union of forms. */

import { type TestRequests, testCmd } from '../iommufd/calls/test-cmd.ts';
import { accessOf } from '../iommufd/selftest/access-handle.ts';
import {
  AccessCreateFlag,
  AccessFlag,
  AccessRwFlag,
  DeviceFlag,
  TestOp,
} from '../iommufd/selftest/numbers.ts';
import { selftestOf } from '../iommufd/selftest/selftest.ts';
import type { SelftestDevice } from '../iommufd/selftest/selftest-device.ts';
import { KernelError } from '../kernel/errors.ts';
import { ioctlCommand } from './call-shape.ts';
import { type Field, flags, newDescriptor, s32, u32, u64 } from './fields.ts';
import { type CallForm, type IommufdCall, serveForm } from './iommufd-call.ts';
import { type Fields, Struct } from './struct.ts';

const SIZE = 72;
/** `offsetofend(struct iommu_test_cmd, last)`. */
const MIN_SIZE = 68;
const OP_AT = 4;

type Ops = keyof TestRequests;
type TestForm<R> = CallForm<R> & { readonly name: string };

/** An id in the header, which all ops share. */
const id: Field<number> = u32(8, { cName: 'id' });
const fd: Field<number> = s32(8, { cName: 'id' });

function op<Op extends Ops>(
  number: Op,
  name: string,
  member: string,
  fields: Fields<TestRequests[Op]>,
  rest: Pick<CallForm<TestRequests[Op]>, 'descriptor' | 'undo'> & { reply?: 'all' } = {},
): TestForm<TestRequests[Op]> {
  return {
    reply: 'nothing',
    ...rest,
    name,
    struct: new Struct<TestRequests[Op]>({
      name: 'iommu_test_cmd',
      size: SIZE,
      fields,
      member,
      header: 'size',
    }),
    call: (context, request) => testCmd(context, number, request),
  };
}

const RANGE = { iova: u64(16), length: u64(24), uptr: u64(32) };
const DEVICE_FLAGS = flags({
  NO_DIRTY: DeviceFlag.NoDirty,
  HUGE_IOVA: DeviceFlag.HugeIova,
  PASID: DeviceFlag.Pasid,
});

/** By number. */
export const TEST_OPS: { readonly [Op in Ops]: TestForm<TestRequests[Op]> } = {
  [TestOp.AddReserved]: op(TestOp.AddReserved, 'ADD_RESERVED', 'add_reserved', {
    id,
    start: u64(16),
    length: u64(24),
  }),
  [TestOp.MockDomain]: op(
    TestOp.MockDomain,
    'MOCK_DOMAIN',
    'mock_domain',
    { id, outStdevId: u32(16), outHwptId: u32(20), outIdevId: u32(24) },
    { reply: 'all', undo: ({ objects }, { outStdevId }) => objects.remove(outStdevId) },
  ),
  [TestOp.MdCheckMap]: op(TestOp.MdCheckMap, 'MD_CHECK_MAP', 'check_map', { id, ...RANGE }),
  [TestOp.MdCheckRefs]: op(TestOp.MdCheckRefs, 'MD_CHECK_REFS', 'check_refs', {
    length: u64(16),
    uptr: u64(24),
    refs: u32(32),
  }),
  [TestOp.CreateAccess]: op(
    TestOp.CreateAccess,
    'CREATE_ACCESS',
    'create_access',
    {
      id,
      outAccessFd: u32(16, newDescriptor),
      flags: u32(20, flags({ NEEDS_PIN_PAGES: AccessCreateFlag.NeedsPinPages })),
    },
    { reply: 'all', descriptor: 'outAccessFd', undo: (_context, _request, file) => file?.close() },
  ),
  [TestOp.DestroyAccessPages]: op(TestOp.DestroyAccessPages, 'DESTROY_ACCESS_PAGES', 'destroy_access_pages', {
    id: fd,
    accessPagesId: u32(16),
  }),
  [TestOp.AccessPages]: op(
    TestOp.AccessPages,
    'ACCESS_PAGES',
    'access_pages',
    {
      id: fd,
      flags: u32(16, flags({ WRITE: AccessFlag.Write, SYZ: AccessFlag.Syzkaller })),
      outAccessPagesId: u32(20),
      iova: u64(24),
      length: u64(32),
      uptr: u64(40),
    },
    {
      reply: 'all',
      undo: (context, request) => accessOf(context, request.id).unpin(request.outAccessPagesId),
    },
  ),
  [TestOp.AccessRw]: op(TestOp.AccessRw, 'ACCESS_RW', 'access_rw', {
    id: fd,
    ...RANGE,
    flags: u32(
      40,
      flags({ WRITE: AccessRwFlag.Write, SLOW_PATH: AccessRwFlag.SlowPath, SYZ: AccessFlag.Syzkaller }),
    ),
  }),
  [TestOp.SetTempMemoryLimit]: op(TestOp.SetTempMemoryLimit, 'SET_TEMP_MEMORY_LIMIT', 'memory_limit', {
    limit: u32(16),
  }),
  [TestOp.MockDomainReplace]: op(
    TestOp.MockDomainReplace,
    'MOCK_DOMAIN_REPLACE',
    'mock_domain_replace',
    { id, ptId: u32(16) },
    { reply: 'all' },
  ),
  [TestOp.AccessReplaceIoas]: op(TestOp.AccessReplaceIoas, 'ACCESS_REPLACE_IOAS', 'access_replace_ioas', {
    id: fd,
    ioasId: u32(16),
  }),
  [TestOp.MockDomainFlags]: op(
    TestOp.MockDomainFlags,
    'MOCK_DOMAIN_FLAGS',
    'mock_domain_flags',
    {
      id,
      outStdevId: u32(16),
      outHwptId: u32(20),
      outIdevId: u32(24),
      devFlags: u32(28, DEVICE_FLAGS),
    },
    { reply: 'all', undo: ({ objects }, { outStdevId }) => objects.remove(outStdevId) },
  ),
  [TestOp.Dirty]: op(
    TestOp.Dirty,
    'DIRTY',
    'dirty',
    {
      id,
      flags: u32(16),
      iova: u64(24),
      length: u64(32),
      pageSize: u64(40),
      uptr: u64(48),
      outNrDirty: u64(56),
    },
    { reply: 'all' },
  ),
  [TestOp.MdCheckIotlb]: op(TestOp.MdCheckIotlb, 'MD_CHECK_IOTLB', 'check_iotlb', {
    id,
    entry: u32(16, { cName: 'check_iotlb.id' }),
    iotlb: u32(20),
  }),
  [TestOp.TriggerIopf]: op(TestOp.TriggerIopf, 'TRIGGER_IOPF', 'trigger_iopf', {
    devId: u32(16),
    pasid: u32(20),
    grpid: u32(24),
    perm: u32(28, flags({ READ: 1, WRITE: 2, EXEC: 4, PRIV: 8 })),
    addr: u64(32),
  }),
  [TestOp.DevCheckCache]: op(TestOp.DevCheckCache, 'DEV_CHECK_CACHE', 'check_dev_cache', {
    id,
    entry: u32(16, { cName: 'check_dev_cache.id' }),
    cache: u32(20),
  }),
  [TestOp.TriggerVevent]: op(TestOp.TriggerVevent, 'TRIGGER_VEVENT', 'trigger_vevent', { devId: u32(16) }),
  [TestOp.PasidAttach]: op(
    TestOp.PasidAttach,
    'PASID_ATTACH',
    'pasid_attach',
    { id, pasid: u32(16), ptId: u32(20) },
    {
      reply: 'all',
      undo: ({ objects }, { id: stdev, pasid }) =>
        objects.peek<SelftestDevice>(stdev, 'selftest')?.idev.pasidDetach(pasid),
    },
  ),
  [TestOp.PasidReplace]: op(
    TestOp.PasidReplace,
    'PASID_REPLACE',
    'pasid_replace',
    { id, pasid: u32(16), ptId: u32(20) },
    { reply: 'all' },
  ),
  [TestOp.PasidDetach]: op(TestOp.PasidDetach, 'PASID_DETACH', 'pasid_detach', { id, pasid: u32(16) }),
  [TestOp.PasidCheckHwpt]: op(TestOp.PasidCheckHwpt, 'PASID_CHECK_HWPT', 'pasid_check', {
    id,
    pasid: u32(16),
    hwptId: u32(20),
  }),
};

function formOf(bytes: Uint8Array): TestForm<object> | undefined {
  if (bytes.length < OP_AT + 4) return undefined;
  const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(OP_AT, true);
  return (TEST_OPS as Readonly<Record<number, unknown>>)[number] as TestForm<object> | undefined;
}

/** The op in these bytes, in words: `MOCK_DOMAIN`. */
export function testOpName(bytes: Uint8Array): string | undefined {
  return formOf(bytes)?.name;
}

export const TEST_CALL: IommufdCall = {
  command: ioctlCommand(0xa0),
  name: 'IOMMU_TEST_CMD',
  argument: 'struct',
  size: SIZE,
  minSize: MIN_SIZE,
  structOf: (bytes) => formOf(bytes)?.struct as Struct<never> | undefined,
  serve: (context, bytes) => {
    selftestOf(context);
    const form = formOf(bytes);
    if (form === undefined) throw new KernelError('EOPNOTSUPP', context.label, 'the selftest has no such op');
    return serveForm(form, context, bytes);
  },
};
