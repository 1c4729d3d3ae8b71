/** Asking a driver for a domain. */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { type Domain, DomainFlag, DomainType } from './domain.ts';
import type { IommuDriver, UserDomainFlags } from './driver.ts';
import type { UserData } from './user-data.ts';

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

/**
 * `ops->domain_alloc_user` as its one caller does: the domain is the driver's from then on.
 *
 * @throws KernelError EOPNOTSUPP the driver makes no domains for users; else as `IommuDriver.domainAllocUser`
 */
export function domainAllocUser(
  driver: IommuDriver,
  device: Device,
  flags: UserDomainFlags,
  parent?: Domain,
  userData?: UserData,
): Domain {
  if (driver.domainAllocUser === undefined) {
    throw new KernelError('EOPNOTSUPP', `IOMMU driver ${driver.name}`, 'makes no domains for users');
  }
  return adopted(driver, driver.domainAllocUser(device, flags, parent, userData));
}

/** The domain belongs to the driver, and where it brings no page sizes it has the driver's. */
export function adopted(driver: IommuDriver, domain: Domain): Domain {
  domain.owner = driver;
  if (domain.pageSizes === 0n && domain.type & DomainFlag.Paging) domain.pageSizes = driver.pageSizes;
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
