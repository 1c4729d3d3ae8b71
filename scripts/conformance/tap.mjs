/** What a program that speaks TAP says, counted. */

/**
 * @param {string} text all it printed
 * @returns {{planned: number, passed: string[], failed: string[], skipped: string[]}} names of its tests
 */
export function countTap(text) {
  const planned = Number(/^1\.\.(\d+)/m.exec(text)?.[1] ?? 0);
  const results = [...text.matchAll(/^(not )?ok \d+ (.*?)(?:\s*# (SKIP|TODO|XFAIL)\b.*)?$/gm)];
  const named = (wanted) => results.filter(wanted).map(([, , name]) => name);
  return {
    planned,
    passed: named(([, not, , mark]) => !not && !mark),
    failed: named(([, not]) => not),
    skipped: named(([, not, , mark]) => !not && mark),
  };
}
