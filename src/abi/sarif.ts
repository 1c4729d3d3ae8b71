/** Findings as SARIF 2.1.0 (OASIS), which code hosts and editors show beside the lines. */

import type { Finding } from './lint/rule.ts';
import { RULES } from './lint/rules.ts';

/** @param version of this program */
export function sarif(findings: readonly Finding[], root: string, version: string): object {
  const used = RULES.filter(({ id }) => findings.some(({ rule }) => rule === id));
  return {
    $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'ringfence abi lint',
            version,
            rules: used.map(({ id, explain, severity }) => ({
              id,
              shortDescription: { text: explain },
              defaultConfiguration: { level: severity },
            })),
          },
        },
        columnKind: 'utf16CodeUnits',
        originalUriBaseIds: { TREE: { uri: directoryUri(root) } },
        results: findings.map(({ rule, severity, file, line, column, message, fix }) => ({
          ruleId: rule,
          ruleIndex: used.findIndex(({ id }) => id === rule),
          level: severity,
          message: { text: fix === undefined ? message : `${message}. To mend it: ${fix}.` },
          locations: [
            {
              physicalLocation: {
                artifactLocation: { uri: uri(file), uriBaseId: 'TREE' },
                region: { startLine: line, ...(column !== undefined && { startColumn: column }) },
              },
            },
          ],
        })),
      },
    ],
  };
}

function uri(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

/** Base URIs end in a slash; a relative one is taken from wherever the reader begins. */
function directoryUri(root: string): string {
  const path = `${uri(root.replace(/\/+$/, ''))}/`;
  return path.startsWith('/') ? `file://${path}` : path;
}
