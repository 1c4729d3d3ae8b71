/** Why a device is in no group, in words. */

import type { NoGroup } from '../iommu/device-state.ts';

export function noGroupWords(why: NoGroup): string {
  switch (why.because) {
    case 'never-probed':
      return 'no IOMMU was there when it came';
    case 'not-covered':
      return `no IOMMU translates it${why.details.length > 0 ? ` (${why.details.join('; ')})` : ''}`;
    case 'refused':
      return `${why.iommu} refused it: ${why.error.message}`;
    case 'iommu-gone':
      return `${why.iommu}, which translated it, was unregistered`;
  }
}
