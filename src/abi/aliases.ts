/** Other names that a path of sysfs has on any machine, since sysfs links the same directories in the same places. */

/** Stands for the directories between /sys/devices and a device. */
const BETWEEN = '-';

/**
 * @returns the device's own directory for what is reached through its bus, class, group or `device` link; patterns
 *   such as `/sys/devices/.../power/control` speak of that one
 */
export function usualAliases(path: string): string[] {
  const found = new Set<string>();
  const open = [path];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const alias of directAliases(next)) {
      if (found.has(alias) || alias === path) continue;
      found.add(alias);
      open.push(alias);
    }
  }
  return [...found];
}

const RULES: readonly (readonly [RegExp, string])[] = [
  [/^\/sys\/kernel\/iommu_groups\/[^/]+\/devices\/([^/]+)/, '/sys/bus/pci/devices/$1'],
  [/^\/sys\/block\/([^/]+)/, '/sys/class/block/$1'],
  [/^\/sys\/bus\/pci\/devices\/[^/]+\/(?:virtfn[^/]*|physfn)(?=\/)/, '/sys/bus/pci/devices/-'],
  [/^\/sys\/bus\/[^/]+\/devices\/([^/]+)/, `/sys/devices/${BETWEEN}/$1`],
  [/^\/sys\/class\/[^/]+\/[^/]+\/device(?=\/)/, `/sys/devices/${BETWEEN}/-`],
  [/^\/sys\/class\/([^/]+)\/([^/]+)/, `/sys/devices/${BETWEEN}/$1/$2`],
];

function directAliases(path: string): string[] {
  return RULES.flatMap(([pattern, instead]) => (pattern.test(path) ? [path.replace(pattern, instead)] : []));
}
