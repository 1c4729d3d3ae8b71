/** One function in the hands of vfio-pci (`struct vfio_pci_core_device`). */

import type { FaultInjector } from '../../../iommu/fault-injector.ts';
import { KernelError } from '../../../kernel/errors.ts';
import type { PciDevice } from '../../../pci/device.ts';
import { checkHeader } from '../calls.ts';
import {
  DeviceFlag,
  IrqFlag,
  PCI_REGION_SPAN,
  PciIrq,
  PciRegion,
  REGION_CAP_MSIX_MAPPABLE,
  RegionFlag,
} from '../constants.ts';
import type {
  VfioDeviceInfoRequest,
  VfioDeviceOps,
  VfioIrqInfoRequest,
  VfioRegionInfoRequest,
} from '../device-ops.ts';
import { VirtualConfigSpace } from './config-space.ts';
import { PciHardware, type PciHardwareInit, ROM_RESOURCE } from './hardware.ts';
import { matchesName } from './match-name.ts';
import { accessRegion } from './region-access.ts';
import { Capability, Command, Header, Msi, MsiX } from './registers.ts';

const DEVICE_INFO_SIZE = 16;
const REGION_INFO_SIZE = 32;
const IRQ_INFO_SIZE = 16;
/** A `struct vfio_info_cap_header`. */
const CAPABILITY_HEADER_SIZE = 8;
const PAGE_SIZE = 4096n;
const VGA_SIZE = 0xc_0000n;
const VGA_CLASS = 0x0300;

export class VfioPciDevice implements VfioDeviceOps {
  readonly name = 'vfio-pci';
  readonly pci: PciDevice;
  readonly hardware: PciHardware;
  readonly #vga: boolean;
  readonly #faults: FaultInjector;
  readonly #onRequest: ((times: number) => void) | undefined;
  /** There while the device is open. */
  #config: VirtualConfigSpace | undefined;
  #saved: Uint8Array | undefined;

  /**
   * @param options.vga `CONFIG_VFIO_PCI_VGA`, without `disable_vga`; off unless told
   * @param options.onRequest the error-free way to ask the program for the device (`VFIO_PCI_REQ_IRQ_INDEX`)
   */
  constructor(
    pci: PciDevice,
    faults: FaultInjector,
    options: PciHardwareInit & { vga?: boolean; onRequest?(times: number): void } = {},
  ) {
    this.pci = pci;
    this.hardware = new PciHardware(pci, options);
    this.#vga = options.vga === true && pci.class !== undefined && pci.class >> 8 === VGA_CLASS;
    this.#faults = faults;
    this.#onRequest = options.onRequest?.bind(options);
  }

  get label(): string {
    return this.pci.name;
  }

  match(name: string): boolean {
    return matchesName(this.pci, name);
  }

  /** `vfio_pci_core_enable`: no bus master, regions switched on, then the registers remembered. */
  openDevice(): void {
    this.#faults.step('enable PCI device');
    const before = this.hardware.save();
    const kinds = this.hardware.resources.map((resource) => resource?.kind);
    let command = this.hardware.read(Header.Command, 2) & ~(Command.Master | Command.IntxDisable);
    if (kinds.includes('memory')) command |= Command.Memory;
    if (kinds.includes('io')) command |= Command.Io;
    this.hardware.write(Header.Command, 2, command);
    if (this.hardware.canReset) this.hardware.resetFunction();
    try {
      this.#faults.step('configuration space');
    } catch (error) {
      this.hardware.restore(before);
      throw error;
    }
    this.#saved = this.hardware.save();
    this.#config = new VirtualConfigSpace(this.hardware, () => this.hardware.resetFunction());
  }

  /** `vfio_pci_core_disable`: whatever the program did to the registers is undone. */
  closeDevice(): void {
    const saved = this.#saved;
    this.#config = undefined;
    this.#saved = undefined;
    if (saved === undefined) return;
    this.hardware.restore(saved);
    if (this.hardware.canReset) this.hardware.resetFunction();
  }

  request(times: number): void {
    this.#onRequest?.(times);
  }

  /**
   * `VFIO_DEVICE_GET_INFO`.
   *
   * @throws KernelError EINVAL `argsz` below 16
   */
  getInfo(request: VfioDeviceInfoRequest): void {
    checkHeader(this, 'VFIO_DEVICE_GET_INFO', { argsz: request.argsz }, DEVICE_INFO_SIZE);
    request.flags = DeviceFlag.Pci | (this.hardware.canReset ? DeviceFlag.Reset : 0);
    request.numRegions = PciRegion.count;
    request.numIrqs = PciIrq.count;
    request.capOffset = 0;
  }

  /**
   * `VFIO_DEVICE_GET_REGION_INFO`. Regions that are not there have size 0.
   *
   * @throws KernelError EINVAL `argsz` below 32, no such region, or VGA on a device or kernel without it
   */
  getRegionInfo(request: VfioRegionInfoRequest): void {
    checkHeader(this, 'VFIO_DEVICE_GET_REGION_INFO', { argsz: request.argsz }, REGION_INFO_SIZE);
    const { index } = request;
    if (index >= PciRegion.count || (index === PciRegion.Vga && !this.#vga)) {
      throw new KernelError('EINVAL', this.label, `has no region ${index}`);
    }
    request.offset = BigInt(index) * PCI_REGION_SPAN;
    request.flags = RegionFlag.Read | RegionFlag.Write;
    if (index === PciRegion.Config) request.size = BigInt(this.hardware.configSize);
    else if (index === PciRegion.Vga) request.size = VGA_SIZE;
    else if (index === PciRegion.Rom) this.#romInfo(request);
    else this.#barInfo(request);
  }

  /** The ROM is there only if something answers behind it. */
  #romInfo(request: VfioRegionInfoRequest): void {
    const rom = this.hardware.resources[ROM_RESOURCE];
    const readable = rom?.behind !== undefined;
    request.size = readable ? rom.size : 0n;
    request.flags = readable ? RegionFlag.Read : 0;
  }

  #barInfo(request: VfioRegionInfoRequest): void {
    const bar = this.hardware.resources[request.index];
    request.size = bar?.size ?? 0n;
    if (bar === undefined || bar.size === 0n) {
      request.flags = 0;
      return;
    }
    // Less than a page can be mapped if it has the page to itself.
    if (bar.kind !== 'memory' || (bar.size < PAGE_SIZE && bar.start % PAGE_SIZE !== 0n)) return;
    request.flags |= RegionFlag.Mmap;
    if (this.#msixBar() !== request.index) return;
    request.flags |= RegionFlag.Capabilities;
    const needed = REGION_INFO_SIZE + CAPABILITY_HEADER_SIZE;
    if (request.argsz < needed) {
      request.argsz = needed;
      request.capOffset = 0;
    } else {
      request.capOffset = REGION_INFO_SIZE;
      request.caps = [{ id: REGION_CAP_MSIX_MAPPABLE, version: 1 }];
    }
  }

  /**
   * `VFIO_DEVICE_GET_IRQ_INFO`.
   *
   * @throws KernelError EINVAL `argsz` below 16, no such interrupt, or errors of a device without PCI Express
   */
  getIrqInfo(request: VfioIrqInfoRequest): void {
    checkHeader(this, 'VFIO_DEVICE_GET_IRQ_INFO', { argsz: request.argsz }, IRQ_INFO_SIZE);
    const { index } = request;
    if (index >= PciIrq.count || (index === PciIrq.Error && this.pci.isPcie !== true)) {
      throw new KernelError('EINVAL', this.label, `has no interrupt ${index}`);
    }
    request.count = this.#irqCount(index);
    request.flags = IrqFlag.Eventfd;
    if (index === PciIrq.Intx) request.flags |= IrqFlag.Maskable | IrqFlag.Automasked;
    // x86 can add MSI-X vectors one by one.
    else if (index !== PciIrq.Msix || this.#find(Capability.MsiX) === undefined)
      request.flags |= IrqFlag.NoResize;
  }

  /** `vfio_pci_get_irq_count`. */
  #irqCount(index: number): number {
    switch (index) {
      case PciIrq.Intx:
        return this.#opened().interruptPin === 0 ? 0 : 1;
      case PciIrq.Msi: {
        const at = this.#find(Capability.Msi);
        return at === undefined ? 0 : 1 << ((this.hardware.read(at + Msi.Flags, 2) & Msi.maxMask) >> 1);
      }
      case PciIrq.Msix: {
        const at = this.#find(Capability.MsiX);
        return at === undefined ? 0 : (this.hardware.read(at + MsiX.Flags, 2) & MsiX.sizeMask) + 1;
      }
      default:
        return 1;
    }
  }

  /**
   * `VFIO_DEVICE_RESET`.
   *
   * @throws KernelError EINVAL the function cannot be reset alone
   */
  reset(): void {
    if (!this.hardware.canReset) {
      throw new KernelError('EINVAL', this.label, 'cannot be reset without its neighbours');
    }
    this.hardware.resetFunction();
  }

  /**
   * `vfio_pci_core_read`: the region is in the upper bits of the position.
   *
   * @throws KernelError EINVAL no such region, or past its end; EIO memory is switched off; EFAULT past
   *   configuration space
   */
  read(position: bigint, bytes: Uint8Array): number {
    return this.#access(position, bytes, false);
  }

  /** As `read`; also EINVAL to write the ROM. */
  write(position: bigint, bytes: Uint8Array): number {
    return this.#access(position, bytes, true);
  }

  #access(position: bigint, bytes: Uint8Array, write: boolean): number {
    if (bytes.length === 0) return 0;
    const index = Number(position / PCI_REGION_SPAN);
    const offset = Number(position % PCI_REGION_SPAN);
    const config = this.#opened();
    if (index === PciRegion.Config) return write ? config.write(offset, bytes) : config.read(offset, bytes);
    const resource = index <= PciRegion.Rom ? this.hardware.resources[index] : undefined;
    if (resource === undefined || (index === PciRegion.Rom && write)) {
      throw new KernelError('EINVAL', this.label, `region ${index} cannot be ${write ? 'written' : 'read'}`);
    }
    return accessRegion(this.label, resource, config.memoryEnabled, offset, bytes, write);
  }

  #opened(): VirtualConfigSpace {
    if (this.#config === undefined) throw new KernelError('EINVAL', this.label, 'is not open');
    return this.#config;
  }

  #msixBar(): number | undefined {
    const at = this.#find(Capability.MsiX);
    return at === undefined ? undefined : this.hardware.read(at + MsiX.Table, 4) & MsiX.barMask;
  }

  /** `pci_find_capability`. */
  #find(id: number): number | undefined {
    const { hardware } = this;
    if ((hardware.read(Header.Status, 2) & 0x10) === 0) return undefined;
    let at = hardware.read(Header.CapabilityList, 1) & ~3;
    for (let steps = 48; at >= 0x40 && steps > 0; steps--) {
      if (hardware.read(at, 1) === id) return at;
      at = hardware.read(at + 1, 1) & ~3;
    }
    return undefined;
  }
}
