/** What is known of drivers by name. */

/**
 * Drivers that manage the DMA of their devices themselves, or do none (`driver_managed_dma`, groups-core.md 9): they
 * do not stand in the way of handing the group over.
 */
const MANAGED_DMA = new Set([
  'pci-stub',
  'pcieport',
  'vfio-pci',
  'mlx5-vfio-pci',
  'mlx5_vfio_pci',
  'hisi-acc-vfio-pci',
  'hisi_acc_vfio_pci',
  'pds-vfio-pci',
  'pds_vfio_pci',
  'qat_vfio_pci',
  'virtio-vfio-pci',
  'virtio_vfio_pci',
  'nvgrace-gpu-vfio-pci',
  'nvgrace_gpu_vfio_pci',
  'xe-vfio-pci',
  'vfio-platform',
  'vfio-amba',
  'vfio-fsl-mc',
  'vfio-cdx',
]);

export function managesDma(driver: string): boolean {
  return MANAGED_DMA.has(driver);
}

/** Drivers that hand their device to a program: vfio-pci, its variants for single makers, vfio of other buses. */
export function isVfioDriver(driver: string): boolean {
  return /(?:^|[-_])vfio(?:[-_]|$)/.test(driver);
}
