import { describe, expect, test } from 'vitest';
import { defaultDomainType, type GlobalDefaultOptions, globalDefaultType } from './default-domain.ts';
import { DomainType, type WantedType } from './domain.ts';
import { answerOf } from './testing.ts';

const { Identity, Dma, DmaFq, Platform } = DomainType;
const U = true;

interface Row {
  because: string;
  members: [wants: WantedType, untrusted?: boolean][];
  requested?: WantedType;
  expected: WantedType | 'EINVAL';
  conflicts?: number;
}

const ROWS: Row[] = [
  { because: 'nobody has a wish: the global default', members: [[0], [0]], expected: 0 },
  { because: 'first wish wins', members: [[0], [Dma], [0]], expected: Dma },
  { because: 'equal wishes agree', members: [[Identity], [Identity]], expected: Identity },
  { because: 'conflict: IDENTITY last', members: [[Dma], [Identity]], expected: Identity, conflicts: 1 },
  { because: 'conflict: IDENTITY first', members: [[Identity], [Dma]], expected: Identity, conflicts: 1 },
  {
    because: 'conflict without IDENTITY: first',
    members: [[Platform], [Dma]],
    expected: Platform,
    conflicts: 1,
  },
  { because: 'untrusted means DMA', members: [[0, U], [0]], expected: Dma },
  { because: 'untrusted and a driver that wants DMA', members: [[Dma], [0, U]], expected: Dma },
  {
    because: 'untrusted and a driver that wants IDENTITY',
    members: [[Identity], [0, U]],
    expected: 'EINVAL',
  },
  { because: 'requested, nobody objects', members: [[0]], requested: Identity, expected: Identity },
  {
    because: 'requested what the driver wants',
    members: [[Identity]],
    requested: Identity,
    expected: Identity,
  },
  { because: 'requested against the driver', members: [[Identity]], requested: Dma, expected: 'EINVAL' },
  { because: 'requested IDENTITY, untrusted', members: [[0, U]], requested: Identity, expected: 'EINVAL' },
  { because: 'requested DMA-FQ, untrusted', members: [[0, U]], requested: DmaFq, expected: 'EINVAL' },
  { because: 'requested DMA, untrusted', members: [[0, U]], requested: Dma, expected: Dma },
  { because: 'auto follows the driver', members: [[Dma]], requested: 0, expected: Dma },
];

describe('groups-core.md 5: default domain choice', () => {
  test.each(ROWS)('$because', ({ members, requested = 0, expected, conflicts = 0 }) => {
    const wishes = members.map(([wants, untrusted = false], i) => ({ device: `dev${i}`, wants, untrusted }));
    if (expected === 'EINVAL') {
      expect(answerOf(() => defaultDomainType('group 1', wishes, requested))).toBe('EINVAL');
      return;
    }
    const choice = defaultDomainType('group 1', wishes, requested);
    expect(choice.type).toBe(expected);
    expect(choice.conflicts).toHaveLength(conflicts);
  });

  test('a refusal names the group, the device and who insists', () => {
    const wishes = [{ device: 'gpu', wants: Identity, untrusted: false }];
    expect(() => defaultDomainType('group 3', wishes, Dma)).toThrow(
      'group 3: cannot become DMA: the driver of gpu insists on identity',
    );
  });

  test.each<[string, GlobalDefaultOptions, DomainType]>([
    ['nothing said', {}, DmaFq],
    ['iommu.passthrough=1 or iommu=pt', { passthrough: true }, Identity],
    ['built in passthrough', { builtInPassthrough: true }, Identity],
    [
      'memory encryption undoes built-in passthrough',
      { builtInPassthrough: true, memoryEncryption: true },
      DmaFq,
    ],
    ['but not the command line', { passthrough: true, memoryEncryption: true }, Identity],
    ['command line against built in', { passthrough: false, builtInPassthrough: true }, DmaFq],
    ['iommu.strict=1', { strict: true }, Dma],
    ['built in strict', { builtInStrict: true }, Dma],
    ['iommu.strict=0 against built in', { strict: false, builtInStrict: true }, DmaFq],
    ['passthrough and strict', { passthrough: true, strict: true }, Identity],
  ])('global default: %s', (_, options, expected) => {
    expect(globalDefaultType(options)).toBe(expected);
  });
});
