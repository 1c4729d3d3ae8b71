/**
 * What makes a hand-over outlive a reboot, as files to review: Ringfence writes them to a folder and puts none in
 * place. By place they name one card among identical ones; by ids they work where nothing but the kernel has started.
 */

import type { PciFacts } from '../host/snapshot.ts';
import { InputError } from '../kernel/errors.ts';
import { printable } from '../kernel/printable.ts';
import type { Describer } from './describe.ts';
import { iommuState } from './iommu-state.ts';
import { idsOf, placePattern } from './persist-places.ts';
import type { PlanReport } from './report.ts';

export interface PersistFile {
  name: string;
  text: string;
}

interface Card {
  facts: PciFacts;
  title: string;
  place: string | undefined;
}

/** Drivers whose module takes `ids=`. */
const TAKES_IDS = new Set(['vfio-pci', 'pci-stub']);

/** @throws InputError for a driver whose name such files cannot hold, or a plan without devices */
export function persistFiles(describer: Describer, plan: PlanReport): PersistFile[] {
  const { driver } = plan;
  if (!/^[A-Za-z0-9_.+-]+$/.test(driver)) {
    throw new InputError('--driver', `'${driver}' has no place in files of udev and modprobe`);
  }
  const cards = cardsOf(describer, plan);
  if (cards.length === 0) throw new InputError('--persist', 'no device has the driver after this plan');
  return [
    { name: 'README.txt', text: readme(driver, cards) },
    { name: '05-ringfence.rules', text: udevRules(driver, cards) },
    { name: 'driverctl.sh', text: driverctl(driver, cards) },
    { name: 'ringfence.conf', text: modprobe(describer, driver, cards) },
    { name: 'kernel-parameters.txt', text: kernelParameters(describer, driver, cards) },
  ];
}

function cardsOf(describer: Describer, plan: PlanReport): Card[] {
  const kept = plan.left.filter((left) => left.driver === plan.driver).map(({ device }) => device);
  return [...plan.devices.map(({ address }) => address), ...kept].flatMap((address) => {
    const facts = describer.facts(address);
    if (facts === undefined) return [];
    return [{ facts, title: printable(describer.title(address)), place: placePattern(facts) }];
  });
}

function readme(driver: string, cards: readonly Card[]): string {
  return `These files give the following devices to ${driver} at each boot. Nothing has been put in place.
Read them, then use ONE of the first two, or the last two together.

${cards.map(({ title }) => `  ${title}`).join('\n')}

05-ringfence.rules     by place, with udev. Put it in /etc/udev/rules.d, rebuild the initramfs if
                       drivers load there. Tells identical cards apart.
driverctl.sh           by place, with driverctl. Run it once as root; \`driverctl unset-override\`
                       takes it back.
ringfence.conf         by ids, with modprobe. Put it in /etc/modprobe.d, rebuild the initramfs.
kernel-parameters.txt  by ids, on the kernel command line; the only one that works where ${driver}
                       is built into the kernel.

By place means the slot: it stays the same when other cards come and go and bus numbers shift, and
changes when the card moves. By ids takes every card with these ids, wherever it is.
A driver that is built into the kernel binds before udev runs; against that only ids help.
To take it back remove the file and, if you did so before, rebuild the initramfs.
`;
}

function udevRules(driver: string, cards: readonly Card[]): string {
  const rules = cards.map(({ facts, title, place }) => {
    const at = place === undefined ? `KERNEL=="${facts.address}"` : `DEVPATH=="${place}"`;
    const id = (name: 'vendor' | 'device') =>
      facts[name] === undefined ? [] : [`ATTR{${name}}=="0x${facts[name].toString(16).padStart(4, '0')}"`];
    const keys = [
      'ACTION=="add"',
      'SUBSYSTEM=="pci"',
      at,
      ...id('vendor'),
      ...id('device'),
      `ATTR{driver_override}="${driver}"`,
      `RUN{builtin}+="kmod load ${driver}"`,
      `RUN+="/bin/sh -c 'echo %k > /sys/bus/pci/drivers_probe'"`,
    ];
    const doubt =
      place === undefined ? '# Its place is not known; this address may change when cards come or go.\n' : '';
    return `# ${title}\n${doubt}${keys.join(', ')}\n`;
  });
  return `# For /etc/udev/rules.d: the override must be set before udev loads drivers by alias (80-drivers.rules).\n\n${rules.join('\n')}`;
}

function driverctl(driver: string, cards: readonly Card[]): string {
  const calls = cards.map(({ facts, title, place }) => {
    const at = place === undefined ? `/sys/bus/pci/devices/${facts.address}` : `/sys${place}`;
    return `# ${title}
for place in ${at}; do
  driverctl --noprobe set-override "\${place##*/}" ${driver}
done
`;
  });
  return `#!/bin/sh
# driverctl keeps overrides by address in /etc/driverctl.d. Run this again when cards have come or gone.
set -eu

${calls.join('\n')}`;
}

function modprobe(describer: Describer, driver: string, cards: readonly Card[]): string {
  const before = cards.flatMap(({ facts }) => [
    ...(facts.driver && facts.driver !== driver ? [facts.driver] : []),
    ...(facts.modules ?? []),
  ]);
  const drivers = [...new Set(before)]
    .filter((name) => /^[A-Za-z0-9_-]+$/.test(name) && name !== driver)
    .sort();
  return [
    '# For /etc/modprobe.d. Modules are loaded in the initramfs too: rebuild it afterwards.\n\n',
    ...idLines(describer, driver, cards, (ids) => `options ${driver} ids=${ids}`),
    ...(drivers.length === 0 ? [] : ['\n# So that these, which take the devices today, come second.\n']),
    ...drivers.map((name) => `softdep ${name} pre: ${driver}\n`),
  ].join('');
}

function kernelParameters(describer: Describer, driver: string, cards: readonly Card[]): string {
  const iommu = iommuState(describer.snapshot);
  return [
    '# For the kernel command line: GRUB_CMDLINE_LINUX in /etc/default/grub, or where your boot loader has it.\n\n',
    ...idLines(describer, driver, cards, (ids) => `${driver}.ids=${ids}`),
    ...iommu.missing.map(({ detail, remedy }) => `\n# ${printable(detail)}: ${printable(remedy)}\n`),
  ].join('');
}

/** The line, or the reason why there is none: ids that devices of the host have too would take those as well. */
function idLines(
  describer: Describer,
  driver: string,
  cards: readonly Card[],
  line: (ids: string) => string,
): string[] {
  if (!TAKES_IDS.has(driver)) return [`# ${driver} takes no list of ids; use the files that go by place.\n`];
  const going = new Set(cards.map(({ facts }) => facts.address));
  const staying = describer.snapshot.devices.filter(({ address }) => !going.has(address));
  const lines: string[] = [];
  const usable: string[] = [];
  for (const { facts, title } of cards) {
    const found = idsOf(describer, facts, staying);
    if (found === undefined) lines.push(`# ${title}: its ids are not known.\n`);
    else if (found.twins.length > 0) {
      lines.push(
        `# ${title}: left out. The ids ${found.ids} would take these too:\n`,
        ...found.twins.map((twin) => `#   ${printable(twin)}\n`),
        '# Use a file that goes by place.\n',
      );
    } else {
      lines.push(`# ${title}\n`);
      usable.push(found.ids);
    }
  }
  return usable.length === 0 ? lines : [...lines, `${line([...new Set(usable)].join(','))}\n`];
}
