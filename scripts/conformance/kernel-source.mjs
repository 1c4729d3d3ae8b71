/** The files of the kernel's selftest for iommufd, from Debian's package of its source. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const PACKAGE = 'linux-source-6.12';

const FILES = [
  'COPYING',
  'drivers/iommu/iommufd/iommufd_test.h',
  'include/uapi/linux/iommufd.h',
  'include/uapi/linux/vfio.h',
  'tools/testing/selftests/iommu/iommufd.c',
  'tools/testing/selftests/iommu/iommufd_fail_nth.c',
  'tools/testing/selftests/iommu/iommufd_utils.h',
  'tools/testing/selftests/kselftest.h',
  'tools/testing/selftests/kselftest_harness.h',
];

/** Where what is fetched and built is kept. */
export const cache = join(
  process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
  'ringfence',
  'conformance',
);

/**
 * Folder of a kernel tree that has at least `FILES`: `$RINGFENCE_LINUX_SOURCE`, or fetched once with apt-get.
 *
 * @throws Error saying what is missing
 */
export function kernelSource() {
  const given = process.env.RINGFENCE_LINUX_SOURCE;
  if (given) {
    const missing = FILES.find((file) => !existsSync(join(given, file)));
    if (missing) throw new Error(`RINGFENCE_LINUX_SOURCE=${given} has no ${missing}`);
    return given;
  }
  const kept = join(cache, PACKAGE);
  if (FILES.every((file) => existsSync(join(kept, file)))) return kept;
  console.error(`Fetching ${PACKAGE} (150 MB, once; kept is what is needed, in ${cache}) …`);
  const work = join(cache, `fetch-${process.pid}`);
  mkdirSync(work, { recursive: true });
  try {
    download(work);
    unpack(work);
    rmSync(kept, { recursive: true, force: true });
    renameSync(join(work, PACKAGE), kept);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return kept;
}

function download(work) {
  const get = () => spawnSync('apt-get', ['-q', 'download', PACKAGE], { cwd: work, encoding: 'utf8' });
  let got = get();
  if (got.error) throw lacking('there is no apt-get here');
  if (got.status !== 0 && process.getuid() === 0) {
    // A list that is missing or tells of a version that was replaced since.
    spawnSync('apt-get', ['-q', 'update'], { stdio: ['ignore', 'ignore', 'inherit'] });
    got = get();
  }
  if (got.status !== 0) throw lacking(`apt-get could not download it:\n${got.stderr.trim()}`);
}

function lacking(why) {
  const help =
    'Set RINGFENCE_LINUX_SOURCE to an unpacked tree of Linux 6.12, or run this where Debian can be reached.';
  return new Error(`The kernel's selftest comes from Debian's package ${PACKAGE}; ${why}\n${help}`);
}

function unpack(work) {
  const archive = readdirSync(work).find((file) => file.endsWith('.deb'));
  const members = FILES.map((file) => `'${PACKAGE}/${file}'`).join(' ');
  const script = `set -o pipefail
    dpkg-deb --fsys-tarfile "$1" | tar -xO './usr/src/${PACKAGE}.tar.xz' | xz -dcT0 | tar -x ${members}`;
  const { status, stderr } = spawnSync('bash', ['-c', script, 'bash', archive], {
    cwd: work,
    encoding: 'utf8',
  });
  if (status !== 0)
    throw new Error(`${archive} cannot be unpacked (dpkg-deb, tar and xz are needed):\n${stderr}`);
}
