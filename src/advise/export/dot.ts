/** Graphviz: the tree as edges, groups as clusters. No background and middle greys, to be read on light and dark. */

import { dotLabel } from './escape.ts';
import type { Exporter } from './exporter.ts';
import { deviceTree, type TreeNode } from './tree.ts';

const INK = '#7a7a7a';

export const dot: Exporter = {
  name: 'dot',
  summary: 'the PCI tree with its groups, for Graphviz',
  scope: 'machine',
  styles: 'either',
  write(input) {
    const roots = deviceTree(input);
    const ids = new Map<TreeNode, string>();
    const groups = new Map<number, TreeNode[]>();
    const edges: string[] = [];
    const loose: TreeNode[] = [];
    const visit = (node: TreeNode, parent: TreeNode | undefined): void => {
      ids.set(node, `n${ids.size}`);
      if (node.group === undefined) loose.push(node);
      else groups.set(node.group, [...(groups.get(node.group) ?? []), node]);
      if (parent !== undefined) edges.push(`  ${ids.get(parent)} -> ${ids.get(node)};\n`);
      for (const child of node.children) visit(child, node);
    };
    for (const root of roots) visit(root, undefined);
    const statement = (node: TreeNode): string =>
      `${ids.get(node)} [label="${label(node)}"${node.kind === 'bus' ? ', shape=plaintext' : ''}];\n`;
    const clusters = [...groups].sort(([a], [b]) => a - b);
    return {
      text: [
        'digraph ringfence {\n',
        '  rankdir=LR; bgcolor=transparent;\n',
        `  graph [fontname="sans-serif", fontsize=11, color="${INK}", fontcolor="${INK}", style=rounded];\n`,
        `  node [fontname="sans-serif", fontsize=10, shape=box, color="${INK}", fontcolor="${INK}"];\n`,
        `  edge [color="${INK}", arrowhead=none];\n`,
        ...loose.map((node) => `  ${statement(node)}`),
        ...clusters.map(
          ([id, nodes]) =>
            `  subgraph cluster_${id} {\n    label="group ${id}";\n${nodes.map((node) => `    ${statement(node)}`).join('')}  }\n`,
        ),
        ...edges,
        '}\n',
      ].join(''),
    };
  },
};

function label(node: TreeNode): string {
  const first = [node.name, node.mark, node.driver && `[${node.driver}]`].filter(Boolean).join(' ');
  return [first, node.title]
    .filter((line) => line !== '')
    .map(dotLabel)
    .join('\\n');
}
