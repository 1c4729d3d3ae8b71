/** Numbers of the VFIO interface, as programs see them (include/uapi/linux/vfio.h). */

/** `VFIO_API_VERSION`. */
export const VFIO_API_VERSION = 0;

/** What `VFIO_CHECK_EXTENSION` asks about; 1, 3 and 8 are also types of `VFIO_SET_IOMMU`. */
export const VfioExtension = {
  Type1: 1,
  Type1v2: 3,
  DmaCoherent: 4,
  Type1Nesting: 6,
  NoIommu: 8,
  UnmapAll: 9,
  UpdateVaddr: 10,
} as const;

/** `VFIO_DMA_MAP_FLAG_*` that iommufd takes. */
export const DmaMapFlag = { Read: 1, Write: 2 } as const;
/** `VFIO_DMA_UNMAP_FLAG_ALL`: everything; address and size must be 0. */
export const DMA_UNMAP_ALL = 2;

/** `VFIO_IOMMU_INFO_*`. */
export const IommuInfoFlag = { PageSizes: 1, Capabilities: 2 } as const;
/** `VFIO_IOMMU_TYPE1_INFO_*`: ids in the capability chain. */
export const IommuInfoCapability = { IovaRange: 1, DmaAvail: 3 } as const;

/** `VFIO_GROUP_FLAGS_*`. */
export const GroupFlag = { Viable: 1, ContainerSet: 2 } as const;

/** `VFIO_DEVICE_FLAGS_*`. */
export const DeviceFlag = { Reset: 1, Pci: 2, Platform: 4, Capabilities: 0x80 } as const;

/** `VFIO_REGION_INFO_FLAG_*`. */
export const RegionFlag = { Read: 1, Write: 2, Mmap: 4, Capabilities: 8 } as const;
/** `VFIO_REGION_INFO_CAP_MSIX_MAPPABLE`: the BAR with the MSI-X table may be mapped whole. */
export const REGION_CAP_MSIX_MAPPABLE = 3;

/** `VFIO_IRQ_INFO_*`. */
export const IrqFlag = { Eventfd: 1, Maskable: 2, Automasked: 4, NoResize: 8 } as const;

/** `VFIO_DEVICE_ATTACH_PASID`, `VFIO_DEVICE_DETACH_PASID`: newer than 6.12. */
export const ATTACH_PASID = 1;

/** `VFIO_PCI_*_REGION_INDEX`; BARs are 0 to 5. */
export const PciRegion = { LastBar: 5, Rom: 6, Config: 7, Vga: 8, count: 9 } as const;

/** `VFIO_PCI_*_IRQ_INDEX`. */
export const PciIrq = { Intx: 0, Msi: 1, Msix: 2, Error: 3, Request: 4, count: 5 } as const;

/** Region `n` of a vfio-pci device begins at this many bytes times `n` (`VFIO_PCI_OFFSET_SHIFT`). */
export const PCI_REGION_SPAN = 1n << 40n;
