/** Issue section 5, VFIO: containers, groups and devices; old calls on the compatibility address space. */

import { describe, expect, test } from 'vitest';
import type { Device } from '../../../src/device/device.ts';
import { ioasMap } from '../../../src/iommufd/calls/ioas-map.ts';
import type { Context } from '../../../src/iommufd/context.ts';
import { describeIommufd } from '../../../src/iommufd/dump.ts';
import {
  vfioCheckExtension,
  vfioMapDma,
  vfioSetIommu,
  vfioUnmapDma,
} from '../../../src/iommufd/vfio/calls.ts';
import type { VfioDeviceFile } from '../../../src/iommufd/vfio/device-file.ts';
import type { VfioGroupFile } from '../../../src/iommufd/vfio/group-file.ts';
import { VfioBench } from '../../../src/iommufd/vfio/testing.ts';
import { vfioIommuGetInfo } from '../../../src/iommufd/vfio/type1-info.ts';
import { mapRequest, newIoas } from '../calls.ts';
import { PAGE } from '../machine.ts';
import { type EveryStepOptions, everyStep, type Stage } from './every-step.ts';

/** Devices `Ga` and `Gb` of one group and `Ha` have a VFIO driver; /dev/vfio/vfio is open. */
class VfioStage extends VfioBench implements Stage {
  readonly context: Context;
  readonly ga: Device;
  readonly gb: Device;
  readonly ha: Device;
  readonly #files: { close(): void }[] = [];
  readonly #watched: unknown[] = [];

  constructor(withoutIommu = false) {
    super({ iommufd: { noiommu: true }, covers: ({ name }) => !(withoutIommu && name.startsWith('G')) });
    const [ga, gb, ha] = this.give('Ga', 'Gb', 'Ha');
    this.ga = ga!;
    this.gb = gb!;
    this.ha = ha!;
    this.context = this.iommufd.open(this.process, { vfio: true });
  }

  /** Closed in the end, the last one first. */
  keep<F extends { close(): void }>(file: F): F {
    this.#files.push(file);
    return file;
  }

  watch<T>(value: T): T {
    this.#watched.push(value);
    return value;
  }

  group(device = this.ga): VfioGroupFile {
    return this.keep(this.openGroupOf(device));
  }

  /** In the container. */
  contained(device = this.ga): VfioGroupFile {
    const group = this.group(device);
    group.setContainer(this.context);
    return group;
  }

  /** Opened, bound and attached the old way. */
  opened(): { group: VfioGroupFile; file: VfioDeviceFile } {
    const group = this.contained();
    return { group, file: this.keep(group.getDeviceFd('Ga')) };
  }

  /** Bound through its own file. */
  bound(device = this.ga): VfioDeviceFile {
    const file = this.keep(this.openCdev(device));
    file.bindIommufd({ argsz: 16, flags: 0, iommufd: this.context, outDevid: 0 });
    return file;
  }

  ioas(pages = 0n): number {
    const id = newIoas(this.context);
    if (pages > 0n) ioasMap(this.context, mapRequest(id, this.arena.base, pages * PAGE, 0x10_0000n));
    return id;
  }

  override picture(): unknown {
    const { iommufd, mock } = this;
    return {
      vfio: super.picture(),
      iommufd: describeIommufd(iommufd),
      live: [...mock.live].map(({ label }) => label),
      references: this.bench.tracker.live().length,
      watched: this.#watched,
    };
  }

  end(): void {
    for (const file of this.#files.reverse()) file.close();
    if (this.context.isOpen) this.context.close();
    this.iommufd.assertNothingLeft();
    for (const device of [this.ga, this.gb, this.ha]) this.bench.core.deleteDevice(device);
    expect([...this.vfio.groups, ...this.vfio.devices]).toEqual([]);
  }
}

const tryAll = (prepare: (on: VfioStage) => () => unknown, options?: EveryStepOptions) =>
  everyStep(() => new VfioStage(), prepare, options);

describe('every step fails once: groups and containers', () => {
  test('a group is opened, and its status asked', () => {
    expect(tryAll((on) => () => on.group())).toEqual([]);
    tryAll((on) => {
      const group = on.group();
      const request = on.watch({ argsz: 8, flags: 0 });
      return () => group.getStatus(request);
    });
  });

  test('SET_CONTAINER, of the first group and of another', () => {
    expect(
      tryAll((on) => {
        const group = on.group();
        return () => group.setContainer(on.context);
      }),
    ).toEqual(['object id']);
    tryAll((on) => {
      on.contained();
      const other = on.group(on.ha);
      return () => other.setContainer(on.context);
    });
  });

  test('UNSET_CONTAINER', () => {
    const steps = tryAll((on) => {
      const group = on.contained();
      return () => group.unsetContainer();
    });
    expect(steps).toEqual([]);
  });

  test('GET_DEVICE_FD: of the first device, again, and of the other in the group', () => {
    const steps = tryAll((on) => {
      const group = on.contained();
      vfioMapDma(on.context, mapDma(on, 3n));
      return () => on.keep(group.getDeviceFd('Ga'));
    });
    for (const step of ['iommufd group', 'open device', 'domain', 'map', 'file'])
      expect(steps).toContain(step);
    for (const name of ['Ga', 'Gb']) {
      tryAll((on) => {
        const { group } = on.opened();
        return () => on.keep(group.getDeviceFd(name));
      });
    }
  });

  test('GET_DEVICE_FD without an IOMMU', () => {
    everyStep(
      () => new VfioStage(true),
      (on) => {
        const group = on.contained();
        return () => on.keep(group.getDeviceFd('Ga'));
      },
    );
  });

  test('a second group in the same container', () => {
    tryAll((on) => {
      on.opened();
      const group = on.contained(on.ha);
      return () => on.keep(group.getDeviceFd('Ha'));
    });
  });
});

describe('every step fails once: old calls', () => {
  const prepared = (on: VfioStage, type: 1 | 3): void => {
    on.contained();
    vfioSetIommu(on.context, type);
    on.keep(on.vfio.find(on.ga)!.group.openedFile!.getDeviceFd('Ga'));
    on.contained(on.ha);
  };

  test('CHECK_EXTENSION, SET_IOMMU and GET_INFO', () => {
    for (const type of [1, 3]) {
      tryAll((on) => {
        on.contained();
        return () => vfioSetIommu(on.context, type);
      });
    }
    tryAll((on) => {
      prepared(on, 3);
      return () => vfioCheckExtension(on.context, 4);
    });
    tryAll((on) => {
      prepared(on, 3);
      const request = { argsz: 256, flags: 0, iovaPgsizes: 0n, capOffset: 0 };
      return () => vfioIommuGetInfo(on.context, request);
    });
  });

  test.each([1, 3] as const)('MAP_DMA of type %i', (type) => {
    const steps = tryAll((on) => {
      prepared(on, type);
      const request = on.watch(mapDma(on, 4n));
      return () => vfioMapDma(on.context, request);
    });
    expect(steps.filter((step) => step === 'map')).toHaveLength(type === 1 ? 4 : 1);
  });

  test('UNMAP_DMA: whole, all, nothing', () => {
    for (const range of [
      { flags: 0, iova: 0x10_0000n, size: 4n * PAGE },
      { flags: 2, iova: 0n, size: 0n },
      { flags: 0, iova: 0x90_0000n, size: PAGE },
    ]) {
      const steps = tryAll((on) => {
        prepared(on, 3);
        vfioMapDma(on.context, mapDma(on, 4n));
        const request = on.watch({ argsz: 24, ...range });
        return () => vfioUnmapDma(on.context, request);
      });
      expect(steps).toEqual([]);
    }
  });

  test('UNMAP_DMA of type 1, which cuts', () => {
    for (const [iova, size, cuts] of [
      [0x10_0000n, 2n * PAGE, 1],
      [0x10_1000n, 2n * PAGE, 2],
      [0x10_3000n, 2n * PAGE, 1],
      [0x0f_f000n, 2n * PAGE, 1],
    ] as const) {
      const steps = tryAll((on) => {
        prepared(on, 1);
        vfioMapDma(on.context, mapDma(on, 4n));
        const request = on.watch({ argsz: 24, flags: 0, iova, size });
        return () => vfioUnmapDma(on.context, request);
      });
      expect(steps).toHaveLength(2 * cuts);
    }
  });
});

describe('every step fails once: devices through files of their own', () => {
  test('the file is opened', () => {
    expect(tryAll((on) => () => on.keep(on.openCdev(on.ga)))).toEqual(['device file']);
  });

  test('BIND_IOMMUFD, of the first of a group and of another', () => {
    for (const first of [false, true]) {
      tryAll((on) => {
        if (first) on.bound(on.gb);
        const file = on.keep(on.openCdev(on.ga));
        const request = { argsz: 16, flags: 0, iommufd: on.context, outDevid: 0 };
        return () => file.bindIommufd(request);
      });
    }
  });

  test('ATTACH_IOMMUFD_PT, first and as a replace', () => {
    for (const attached of [false, true]) {
      tryAll((on) => {
        const file = on.bound();
        if (attached) file.attachIommufdPt({ argsz: 12, flags: 0, ptId: on.ioas(2n) });
        const request = on.watch({ argsz: 12, flags: 0, ptId: on.ioas(3n) });
        return () => file.attachIommufdPt(request);
      });
    }
  });

  test('DETACH_IOMMUFD_PT, and closing', () => {
    for (const call of ['detach', 'close']) {
      const steps = everyStep(
        () => new VfioStage(),
        (on) => {
          const file = on.openCdev(on.ga);
          file.bindIommufd({ argsz: 16, flags: 0, iommufd: on.context, outDevid: 0 });
          file.attachIommufdPt({ argsz: 12, flags: 0, ptId: on.ioas(2n) });
          if (call === 'close') return () => file.close();
          on.keep(file);
          return () => file.detachIommufdPt({ argsz: 8, flags: 0 });
        },
        // What the core must not be refused: it is blocked all the same.
        { survives: ['attach'] },
      );
      expect(new Set(steps)).toEqual(new Set(['attach']));
    }
  });

  test('a driver takes a device, and lets go of it', () => {
    const ops = { name: 'vfio-test' };
    expect(
      tryAll((on) => {
        on.vfio.unregisterGroupDev(on.gb);
        return () => on.vfio.registerGroupDev(on.gb, ops);
      }),
    ).toEqual(['VFIO device']);
    expect(
      tryAll((on) => {
        on.vfio.unregisterGroupDev(on.ha);
        return () => on.vfio.registerGroupDev(on.ha, ops);
      }),
    ).toEqual(['VFIO device', 'VFIO group']);
    expect(tryAll((on) => () => on.vfio.unregisterGroupDev(on.ga))).toEqual([]);
  });
});

function mapDma(on: VfioStage, pages: bigint) {
  return { argsz: 32, flags: 3, vaddr: on.arena.base, iova: 0x10_0000n, size: pages * PAGE };
}
