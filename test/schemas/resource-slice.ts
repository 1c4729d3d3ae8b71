/**
 * resource.k8s.io/v1 ResourceSlice, from the documentation in k8s.io/api resource/v1/types.go (2026-07) and the
 * standard attributes of k8s.io/dynamic-resource-allocation/deviceattribute, in our words; the fields we write.
 */

import { z } from 'zod';

const label = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const subdomain = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
/** C identifier of at most 32 characters, with a domain of at most 63 in front where it is not the driver's own. */
const qualifiedName = /^(?:(?=[^/]{1,63}\/)[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z_][A-Za-z0-9_]{0,31}$/;

const shortText = z.string().refine((text) => Buffer.byteLength(text) <= 64, 'longer than 64 bytes');

/** Exactly one of them. */
const attribute = z.union([
  z.strictObject({ string: shortText }),
  z.strictObject({ int: z.int() }),
  z.strictObject({ bool: z.boolean() }),
]);

const standard = {
  'resource.kubernetes.io/pciBusID': /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]$/,
  'resource.kubernetes.io/pcieRoot': /^pci[0-9a-f]{4}:[0-9a-f]{2}$/,
};

const attributes = z
  .record(z.string().regex(qualifiedName), attribute)
  .refine((all) => Object.keys(all).length <= 32, 'more than 32 attributes')
  .refine(
    (all) =>
      Object.entries(standard).every(([name, form]) => {
        const value = all[name];
        return value === undefined || ('string' in value && form.test(value.string));
      }),
    'a standard attribute of another form',
  );

export const resourceSlice = z.strictObject({
  apiVersion: z.literal('resource.k8s.io/v1'),
  kind: z.literal('ResourceSlice'),
  metadata: z.strictObject({ name: z.string().max(253).regex(subdomain) }),
  spec: z.strictObject({
    driver: z.string().max(63).regex(subdomain),
    nodeName: z.string().max(253).regex(subdomain),
    pool: z.strictObject({
      name: z.string().max(253).regex(subdomain),
      generation: z.int().min(0),
      resourceSliceCount: z.int().min(1),
    }),
    devices: z
      .array(z.strictObject({ name: z.string().regex(label), attributes }))
      .min(1)
      .max(128),
  }),
});
