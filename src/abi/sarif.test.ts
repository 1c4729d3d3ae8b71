import { describe, expect, it } from 'vitest';
import { lint } from './lint/lint.ts';
import { sarif } from './sarif.ts';
import { entryText, treeOf } from './testing.ts';

describe('SARIF', () => {
  const tree = treeOf({ 'testing/odd name': entryText({ Date: 'Mai 2012', Description: undefined }) });
  const findings = lint({ tree, now: { year: 2026, month: 11 } });
  // biome-ignore lint/suspicious/noExplicitAny: looked at as whoever reads it does
  const log = sarif(findings, '/usr/src/linux/Documentation/ABI', '0.1.0') as any;

  it('has version 2.1.0, the tool, and the rules that were broken', () => {
    expect(log.version).toBe('2.1.0');
    expect(log.$schema).toMatch(/sarif-schema-2\.1\.0\.json$/);
    expect(log.runs[0].tool.driver).toMatchObject({ name: 'ringfence abi lint', version: '0.1.0' });
    expect(log.runs[0].tool.driver.rules.map(({ id }: { id: string }) => id)).toEqual([
      'no-description',
      'malformed-date',
    ]);
  });

  it('has a result for each finding, with rule, level, place and what mends it', () => {
    expect(log.runs[0].originalUriBaseIds.TREE.uri).toBe('file:///usr/src/linux/Documentation/ABI/');
    const [first, second] = log.runs[0].results;
    expect(first).toMatchObject({ ruleId: 'no-description', ruleIndex: 0, level: 'error' });
    expect(second).toMatchObject({ ruleId: 'malformed-date', ruleIndex: 1 });
    expect(second.message.text).toBe("'Mai' is no month. To mend it: write May 2012.");
    expect(second.locations[0].physicalLocation).toEqual({
      artifactLocation: { uri: 'testing/odd%20name', uriBaseId: 'TREE' },
      region: { startLine: 2 },
    });
  });

  it('of nothing has an empty list of results, which says that it was looked', () => {
    // biome-ignore lint/suspicious/noExplicitAny: as above
    expect((sarif([], 'ABI', '0.1.0') as any).runs[0].results).toEqual([]);
  });
});
