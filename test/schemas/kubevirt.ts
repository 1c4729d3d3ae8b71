/**
 * The part of kubevirt.io/v1 KubeVirt that permits host devices, from staging/src/kubevirt.io/api/core/v1/types.go
 * and pkg/util/hardware (how a selector is parsed) of github.com/kubevirt/kubevirt (2026-08), in our words.
 */

import { z } from 'zod';

/** Kubernetes extended resource: a domain, and a name of at most 63 characters. */
const resourceName =
  /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)+\/[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?$/;

export const kubeVirt = z.strictObject({
  apiVersion: z.literal('kubevirt.io/v1'),
  kind: z.literal('KubeVirt'),
  metadata: z.strictObject({ name: z.string(), namespace: z.string() }),
  spec: z.strictObject({
    configuration: z.strictObject({
      developerConfiguration: z.strictObject({ featureGates: z.array(z.enum(['HostDevices', 'IOMMUFD'])) }),
      permittedHostDevices: z.strictObject({
        pciHostDevices: z
          .array(
            z.strictObject({
              pciVendorSelector: z.string().regex(/^[0-9A-F]{4}:[0-9A-F]{4}$/),
              resourceName: z.string().regex(resourceName),
            }),
          )
          .min(1)
          // A selector that comes twice keeps only the last name.
          .refine((all) => new Set(all.map((one) => one.pciVendorSelector)).size === all.length),
      }),
    }),
  }),
});
