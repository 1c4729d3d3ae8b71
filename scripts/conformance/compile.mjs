/** Compiles a selftest, unmodified. */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { cache } from './kernel-source.mjs';

/**
 * Names the selftest of 6.12.117 uses and its own headers do not have yet: it was taken over from a newer kernel
 * without them. Defined only where they are missing.
 */
const NEWER_NAMES = {
  in_data_type: 'out_data_type',
  IOMMU_HW_INFO_TYPE_DEFAULT: '0',
  IOMMU_HW_INFO_FLAG_INPUT_TYPE: '1',
  MOCK_FLAGS_DEVICE_PASID: '4',
  MOCK_PASID_WIDTH: '20',
};

/**
 * @param {string} source folder of the kernel tree
 * @param {string} name `iommufd`, `iommufd_fail_nth`
 * @param {{objects?: string[], flags?: string[]}} extra C files of ours to link, and what linking them wants
 * @returns {string} the program
 */
export function compileSelftest(source, name, { objects = [], flags = [] } = {}) {
  const headers = ['include/uapi/linux/iommufd.h', 'drivers/iommu/iommufd/iommufd_test.h'].map((file) =>
    readFileSync(join(source, file), 'utf8'),
  );
  const defined = Object.entries(NEWER_NAMES)
    .filter(([word]) => !headers.some((text) => text.includes(word)))
    .map(([word, value]) => `-D${word}=${value}`);
  const include = includeFolder(source);
  const file = join(source, `tools/testing/selftests/iommu/${name}.c`);
  const words = [
    '-O2',
    '-w',
    '-D_GNU_SOURCE=',
    '-D__user=',
    '-isystem',
    include,
    ...defined,
    file,
    ...objects,
    ...flags,
  ];
  const sum = createHash('sha256').update(JSON.stringify(words));
  for (const input of [file, ...objects]) sum.update(readFileSync(input));
  const program = join(cache, `${name}-${sum.digest('hex').slice(0, 16)}`);
  if (existsSync(program)) return program;
  const part = `${program}.${process.pid}`;
  const { error, status, stderr } = spawnSync('cc', [...words, '-o', part], { encoding: 'utf8' });
  if (error)
    throw new Error(
      'The selftest has to be compiled, and there is no C compiler (cc): install gcc and libc6-dev',
    );
  if (status !== 0) throw new Error(`${name}.c does not compile:\n${stderr}`);
  renameSync(part, program);
  return program;
}

/** Only these two: the rest of the kernel's headers is the system's. */
function includeFolder(source) {
  const folder = join(cache, 'include');
  mkdirSync(join(folder, 'linux'), { recursive: true });
  for (const header of ['iommufd.h', 'vfio.h']) {
    copyFileSync(join(source, 'include/uapi/linux', header), join(folder, 'linux', header));
  }
  return folder;
}
