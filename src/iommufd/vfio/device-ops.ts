/** What a VFIO driver offers of one device (`struct vfio_device_ops`). Offsets are of the device file. */

/** `struct vfio_device_info`. */
export interface VfioDeviceInfoRequest {
  argsz: number;
  flags: number;
  numRegions: number;
  numIrqs: number;
  capOffset: number;
}

/** `struct vfio_region_info`. */
export interface VfioRegionInfoRequest {
  argsz: number;
  flags: number;
  index: number;
  capOffset: number;
  /** Bytes. */
  size: bigint;
  /** Where the region begins in the device file. */
  offset: bigint;
  /** Out: capabilities behind the struct, if the buffer has room for them (`capOffset` is set then). */
  caps?: { id: number; version: number }[];
}

/** `struct vfio_irq_info`. */
export interface VfioIrqInfoRequest {
  argsz: number;
  flags: number;
  index: number;
  count: number;
}

/** Members may be left out where the kernel allows a null pointer. */
export interface VfioDeviceOps {
  /** As in messages: `vfio-pci`. */
  readonly name: string;
  /**
   * Whether `name`, as a program wrote it, means this device; the device's own name unless told.
   *
   * @throws KernelError EINVAL the name has options that make no sense
   */
  match?(name: string): boolean;
  /**
   * `open_device`: the first user arrives.
   *
   * @throws KernelError the device cannot be enabled; nothing has changed then
   */
  openDevice?(): void;
  /** `close_device`: the last user is gone. */
  closeDevice?(): void;
  /** `request`: the driver is to let go of the device; its user should close it. */
  request?(times: number): void;
  /** `VFIO_DEVICE_GET_INFO`. */
  getInfo?(request: VfioDeviceInfoRequest): void;
  /** `VFIO_DEVICE_GET_REGION_INFO`. */
  getRegionInfo?(request: VfioRegionInfoRequest): void;
  /** `VFIO_DEVICE_GET_IRQ_INFO`. */
  getIrqInfo?(request: VfioIrqInfoRequest): void;
  /** `VFIO_DEVICE_RESET`. */
  reset?(): void;
  /** `read`: fills `bytes` from `position` on and answers how many it was. */
  read?(position: bigint, bytes: Uint8Array): number;
  /** `write`, likewise. */
  write?(position: bigint, bytes: Uint8Array): number;
}
