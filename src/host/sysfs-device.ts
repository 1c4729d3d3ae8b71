/** One PCI function from its sysfs directory. */

import { FILE_NAME } from '../kernel/file-name.ts';
import { baseName } from './file-tree.ts';
import { fullAddress, type HostTree, shown } from './host-tree.ts';
import type { Notes } from './notes.ts';
import type { ConfigFacts, Detail, PciFacts } from './snapshot.ts';

export interface DevicePlace {
  address: string;
  /** Directory in the tree. */
  dir: string;
  /** Below /sys/devices, where that is known. */
  path: string | undefined;
}

interface Reading {
  detail: Detail;
  /** The tree keeps symbolic links, so a link that is not there was not there. */
  linksShow: boolean;
  notes: Notes;
}

const WHOLE_SPACE = 4096;
const EXPRESS = 0x10;
/** Of the capabilities that are decoded, SR-IOV and Express are the longest; others need their first words. */
const LONGEST_CAPABILITY = 0x40;
const SHORT_CAPABILITY = 0x18;
/** What every user may read of configuration space. */
const PUBLIC_PART = 64;

/** `undefined` when the directory holds nothing usable (a broken link, an empty copy). */
export function readDevice(tree: HostTree, place: DevicePlace, reading: Reading): PciFacts | undefined {
  const { files } = tree;
  const { address, dir, path } = place;
  const facts: PciFacts = { address, ...(path !== undefined && { path }) };
  const uevent = files.readText(`${dir}/uevent`);
  if (uevent !== undefined) takeUevent(facts, uevent);
  // One listing says which files are there: cheaper than failing to open those that are not.
  const needNames = reading.detail !== 'names' || facts.class === undefined || facts.vendor === undefined;
  const names = needNames ? new Set(files.list(dir)) : undefined;
  if (names === undefined) return facts;
  if (names.size === 0) return undefined;
  takeIds(facts, tree, dir, names, reading.notes);
  if (names.has('driver')) facts.driver ??= linkName(tree, `${dir}/driver`) ?? null;
  else if (reading.linksShow || uevent !== undefined) facts.driver ??= null;
  if (reading.detail === 'names') return facts;

  if (names.has('config')) takeConfig(facts, tree, dir, reading);
  // Configuration space has it too, unless the device sleeps and answers all ones.
  const revision = facts.config && Number.parseInt(facts.config.bytes.slice(16, 18), 16);
  if (revision !== undefined && revision < 0xff) facts.revision = revision;
  else if (names.has('revision'))
    setNumber(facts, 'revision', files.readText(`${dir}/revision`), 8, reading.notes);
  if (names.has('iommu')) setText(facts, 'iommu', linkName(tree, `${dir}/iommu`));
  if (names.has('physfn')) {
    const physical = fullAddress(linkName(tree, `${dir}/physfn`) ?? '');
    if (physical !== undefined) facts.physfn = physical;
    else reading.notes.add(`${address}: physfn leads to no PCI function; left out`);
  } else if (reading.linksShow) facts.physfn = null;
  // Decides whether the device is trusted, and so which kind of domain its group gets.
  if (names.has('removable')) setText(facts, 'removable', firstLine(files.readText(`${dir}/removable`)));
  if (reading.detail === 'all') takeDetails(facts, tree, dir, names, reading.notes);
  return facts;
}

/** uevent has the ids, the class and the driver in one file. */
function takeUevent(facts: PciFacts, text: string): void {
  let driver: string | null = null;
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    const value = line.slice(equals + 1);
    switch (line.slice(0, equals)) {
      case 'DRIVER':
        if (FILE_NAME.test(value)) driver = value;
        break;
      case 'PCI_CLASS':
        if (/^[0-9a-f]{1,6}$/i.test(value)) facts.class = Number.parseInt(value, 16);
        break;
      case 'PCI_ID': {
        const ids = /^([0-9a-f]{4}):([0-9a-f]{4})$/i.exec(value);
        if (ids) [facts.vendor, facts.device] = [Number.parseInt(ids[1]!, 16), Number.parseInt(ids[2]!, 16)];
        break;
      }
      case 'PCI_SUBSYS_ID': {
        const ids = /^([0-9a-f]{4}):([0-9a-f]{4})$/i.exec(value);
        if (ids) {
          facts.subsystemVendor = Number.parseInt(ids[1]!, 16);
          facts.subsystemDevice = Number.parseInt(ids[2]!, 16);
        }
        break;
      }
    }
  }
  // Only a uevent that speaks of PCI is whole enough for its silence on the driver to mean "none".
  if (driver !== null || facts.vendor !== undefined) facts.driver = driver;
}

const ID_FILES = [
  ['vendor', 'vendor', 16],
  ['device', 'device', 16],
  ['subsystem_vendor', 'subsystemVendor', 16],
  ['subsystem_device', 'subsystemDevice', 16],
  ['class', 'class', 24],
] as const;

function takeIds(facts: PciFacts, tree: HostTree, dir: string, names: Set<string>, notes: Notes): void {
  for (const [file, field, bits] of ID_FILES) {
    if (facts[field] === undefined && names.has(file)) {
      setNumber(facts, field, tree.files.readText(`${dir}/${file}`), bits, notes);
    }
  }
}

function takeConfig(facts: PciFacts, tree: HostTree, dir: string, reading: Reading): void {
  const path = `${dir}/config`;
  const { files } = tree;
  const bytes =
    reading.detail === 'all'
      ? files.read(path, WHOLE_SPACE)
      : files.readAsNeeded(path, WHOLE_SPACE, neededConfig);
  if (bytes === undefined || bytes.length === 0) {
    reading.notes.add(`${facts.address}: config cannot be read`);
    return;
  }
  // Live, the file's size is the kernel's own, whatever was read of it. A copy is as long as what was read.
  const size = tree.live && bytes.length < WHOLE_SPACE ? files.size(path) : bytes.length;
  facts.config = configFacts(bytes, size);
}

/**
 * How much of configuration space forming groups needs: as far as its two lists of capabilities go. Every four
 * bytes are an access to the device, slow on virtual machines and on devices that sleep, and most of the 4096 are
 * never used.
 */
function neededConfig(soFar: Uint8Array, size: number): number {
  if (soFar.length < PUBLIC_PART) return PUBLIC_PART;
  const listed = (soFar[0x06]! & 0x10) !== 0;
  let at = listed ? soFar[(soFar[0x0e]! & 0x7f) === 2 ? 0x14 : 0x34]! & 0xfc : 0;
  for (let count = 0; at >= PUBLIC_PART && count < 48; count++) {
    if (at + 2 > soFar.length) return at + SHORT_CAPABILITY;
    const end = Math.min(at + (soFar[at] === EXPRESS ? LONGEST_CAPABILITY : SHORT_CAPABILITY), 256);
    if (end > soFar.length) return end;
    at = soFar[at + 1]! & 0xfc;
  }
  at = size > 256 ? 0x100 : 0;
  for (let count = 0; at >= 0x100 && count < 512; count++) {
    if (at + LONGEST_CAPABILITY > soFar.length) return Math.min(at + LONGEST_CAPABILITY, WHOLE_SPACE);
    at = ((soFar[at + 2]! >> 4) | (soFar[at + 3]! << 4)) & 0xffc;
  }
  return soFar.length;
}

/** @param size of the space as far as the source tells; kept when it is one a configuration space has */
export function configFacts(bytes: Uint8Array, size: number | undefined): ConfigFacts {
  const read = paddedByTar(bytes) ? PUBLIC_PART : bytes.length;
  let end = read;
  while (end > 0 && bytes[end - 1] === 0) end--;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, end).toString('hex');
  return { bytes: text, read, ...((size === 256 || size === WHOLE_SPACE) && { size }) };
}

/**
 * tar stores as many bytes as sysfs claims the file has and fills with zeros what it could not read. A header
 * that points at capabilities where all is zero was read without privilege.
 */
function paddedByTar(bytes: Uint8Array): boolean {
  if (bytes.length < 256 || (bytes[0x06]! & 0x10) === 0 || bytes[0x34]! < PUBLIC_PART) return false;
  for (let at = PUBLIC_PART; at < bytes.length; at++) if (bytes[at] !== 0) return false;
  return true;
}

/** What only `show` and captures need. */
function takeDetails(facts: PciFacts, tree: HostTree, dir: string, names: Set<string>, notes: Notes): void {
  const text = (name: string) =>
    names.has(name) ? firstLine(tree.files.readText(`${dir}/${name}`)) : undefined;
  const override = text('driver_override');
  if (override !== undefined)
    facts.driverOverride = override === '' || override === '(null)' ? null : override;
  const node = text('numa_node');
  if (node !== undefined && /^-?[0-9]{1,6}$/.test(node)) facts.numaNode = Number(node);
  const irq = text('irq');
  if (irq !== undefined && /^[0-9]{1,9}$/.test(irq)) facts.irq = Number(irq);
  const reset = text('reset_method');
  if (reset !== undefined) facts.resetMethods = reset === '' ? [] : reset.split(/ +/);
  const vga = text('boot_vga');
  if (vga !== undefined) facts.bootVga = vga === '1';
  if (names.has('vfio-dev')) takeVfioDevice(facts, tree, `${dir}/vfio-dev`);
  setText(facts, 'powerState', text('power_state'));
  if (names.has('resource')) takeResources(facts, tree.files.readText(`${dir}/resource`) ?? '', notes);
}

/** A vfio driver shows its device as vfio-dev/vfioN, with a device number where iommufd has a node for it. */
function takeVfioDevice(facts: PciFacts, tree: HostTree, dir: string): void {
  const name = tree.files.list(dir)?.find((entry) => /^vfio[0-9]{1,9}$/.test(entry));
  if (name !== undefined) facts.vfioDevice = tree.files.exists(`${dir}/${name}/dev`) ? name : null;
}

function takeResources(facts: PciFacts, text: string, notes: Notes): void {
  const resources: NonNullable<PciFacts['resources']> = [];
  for (const line of text.split('\n', 64)) {
    if (line === '' || line.startsWith('\0')) continue;
    const found = /^(0x[0-9a-f]{1,16}) (0x[0-9a-f]{1,16}) (0x[0-9a-f]{1,16})$/.exec(line);
    if (found === null) {
      notes.add(`${facts.address}: resource holds ${shown(line)}; left out`);
      return;
    }
    resources.push({ start: found[1]!, end: found[2]!, flags: found[3]! });
  }
  // The line's number is the region's, so only unused ones at the end can go.
  while (resources.length > 0 && /^0x0+$/.test(resources.at(-1)!.flags)) resources.pop();
  facts.resources = resources;
}

type NumberField = 'vendor' | 'device' | 'subsystemVendor' | 'subsystemDevice' | 'class' | 'revision';

function setNumber(
  facts: PciFacts,
  field: NumberField,
  text: string | undefined,
  bits: number,
  notes: Notes,
): void {
  const line = firstLine(text);
  if (line === undefined) return;
  const value = /^0x[0-9a-f]{1,8}$/i.test(line) ? Number.parseInt(line, 16) : Number.NaN;
  if (value < 2 ** bits) facts[field] = value;
  else notes.add(`${facts.address}: ${field} holds ${shown(line)}; left out`);
}

function setText(
  facts: PciFacts,
  field: 'iommu' | 'powerState' | 'removable',
  value: string | undefined,
): void {
  if (value !== undefined && value !== '') facts[field] = value;
}

function linkName(tree: HostTree, path: string): string | undefined {
  const target = tree.files.link(path);
  return target === undefined ? undefined : baseName(target);
}

/** First line without the zeros that tar fills with; attributes longer than a page are junk. */
export function firstLine(text: string | undefined): string | undefined {
  if (text === undefined || text.length > 4096 * 4) return undefined;
  const end = text.search(/[\n\0]/);
  return (end < 0 ? text : text.slice(0, end)).trim();
}
