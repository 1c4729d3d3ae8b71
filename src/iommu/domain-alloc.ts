/** Asking a driver for a domain. */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { type Domain, DomainFlag, DomainType } from './domain.ts';
import type { IommuDriver } from './driver.ts';

/**
 * `__iommu_domain_alloc`: the driver's static domain where it has one, else a new one.
 *
 * @throws KernelError EOPNOTSUPP the driver has no way to make this type; else the driver's refusal
 */
export function domainAlloc(driver: IommuDriver, device: Device, type: DomainType): Domain {
  if (type === DomainType.Identity && driver.identityDomain) return driver.identityDomain;
  if (type === DomainType.Blocked && driver.blockedDomain) return driver.blockedDomain;

  const domain = askDriver(driver, device, type);
  domain.type = type;
  domain.owner = driver;
  if (domain.pageSizes === 0n) domain.pageSizes = driver.pageSizes;
  return domain;
}

function askDriver(driver: IommuDriver, device: Device, type: DomainType): Domain {
  if (type & DomainFlag.Paging && driver.domainAllocPaging) return driver.domainAllocPaging(device);
  if (driver.domainAlloc) {
    // DMA-FQ differs from DMA in what the core does around unmapping, which is no matter of the driver's.
    return driver.domainAlloc(type === DomainType.DmaFq ? DomainType.Dma : type);
  }
  throw new KernelError('EOPNOTSUPP', `IOMMU driver ${driver.name}`, `cannot make a domain of type ${type}`);
}
