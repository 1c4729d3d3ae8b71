/**
 * How a rehearsal tree was spelled before the first write. A recording may lack what a kernel always has (the links
 * in the folders of drivers, whole folders), or show it in other letters; making the writes good again gives the same
 * meaning, and this gives the same bytes.
 */

import { z } from 'zod';

export interface Memory {
  devices: Record<string, DeviceMemory>;
  /** Directories below the root that were missing, outermost first. */
  missing: string[];
}

export interface DeviceMemory {
  /** Target of the `driver` link, as it was written. */
  driver?: string;
  /** Folders of drivers that link to the device. */
  listedBy: string[];
  override?: string;
  uevent?: string;
}

const text = z.string().max(65536);

/** Memory comes back from journals. */
export const memorySchema = z.strictObject({
  devices: z.record(
    z.string().regex(/^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/),
    z.strictObject({
      driver: text.optional(),
      listedBy: z.array(z.string().regex(/^[^/\0]{1,255}$/)).max(4096),
      override: text.optional(),
      uevent: text.optional(),
    }),
  ),
  missing: z.array(z.string().regex(/^bus\/pci\/drivers(\/[^/\0]{1,255})?$/)).max(4096),
});
