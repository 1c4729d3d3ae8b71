/** One part of the iommufd benchmark in a process of its own: `node --expose-gc iommufd-child.mjs PART ARGUMENT ROUNDS`. */

import { areaCalls } from './iommufd-calls.ts';
import { deviceDma, dirtyBitmap } from './iommufd-dma.ts';
import { moveBetweenTables } from './iommufd-tables.ts';

const [, , part, argument, rounds] = process.argv;
const PARTS: Record<string, (argument: number, rounds: number) => Promise<unknown>> = {
  tables: moveBetweenTables,
  calls: areaCalls,
  dirty: dirtyBitmap,
  dma: deviceDma,
};
process.stdout.write(JSON.stringify(await PARTS[part!]!(Number(argument), Number(rounds))));
