/**
 * The Container Device Interface specification, as its consumers read it: SPEC.md, schema/*.json and the rules of
 * pkg/parser and internal/validation in github.com/cncf-tags/container-device-interface (2026-08), in our words.
 * Loaders refuse unknown fields, so everything is strict; only the fields we write are here.
 */

import { z } from 'zod';

/** Letter first, letter or digit last, `-`, `_` and `.` between. */
const vendorOrClass = /^[A-Za-z](?:[\w.-]*[A-Za-z0-9])?$/;
const deviceName = /^[A-Za-z0-9](?:[\w.:-]*[A-Za-z0-9])?$/;
/** `prefix/name`: a lower-case DNS subdomain, and a name of at most 63 characters. */
const annotationKey =
  /^(?=.{1,253}\/)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\/[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?$/;

const deviceNode = z.strictObject({
  path: z.string().startsWith('/'),
  permissions: z.string().regex(/^[rwm]+$/),
});

const containerEdits = z
  .strictObject({ deviceNodes: z.array(deviceNode).min(1) })
  .refine((edits) => new Set(edits.deviceNodes.map(({ path }) => path)).size === edits.deviceNodes.length);

export const cdiSpec = z.strictObject({
  /** Versions that have been released; annotations need 0.6.0. */
  cdiVersion: z.enum(['0.6.0', '0.7.0', '0.8.0', '1.0.0', '1.1.0']),
  kind: z.string().refine((kind) => {
    const [vendor, klass, ...rest] = kind.split('/');
    return rest.length === 0 && vendorOrClass.test(vendor!) && vendorOrClass.test(klass ?? '');
  }),
  devices: z
    .array(
      z.strictObject({
        name: z.string().regex(deviceName),
        annotations: z.record(z.string().regex(annotationKey), z.string()),
        containerEdits,
      }),
    )
    .min(1)
    .refine((devices) => new Set(devices.map(({ name }) => name)).size === devices.length),
  containerEdits,
});
