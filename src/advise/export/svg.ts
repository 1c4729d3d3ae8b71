/**
 * A picture of the tree, a row a device, groups by number and colour. Colours follow the reader's light or dark
 * setting; a group's colour is only a tint, so that text has the contrast of plain text.
 */

import { oneLine, xml } from './escape.ts';
import type { Exporter } from './exporter.ts';
import { deviceTree, type TreeNode } from './tree.ts';

const ROW = 22;
const INDENT = 20;
const LEFT = 64;
const TOP = 12;
/** Width of a character of the 12-pixel monospaced font, rounded up. */
const CHARACTER = 7.3;
const LONGEST = 110;
const LONGEST_DRIVER = 32;

interface Row {
  node: TreeNode;
  depth: number;
  y: number;
  /** Row of the parent, to draw the branch from. */
  parent: Row | undefined;
  /** Of its parent's children. */
  last: boolean;
}

/** Plain colours and no variables: viewers that are no browser know neither those nor the dark setting. */
const STYLE = `\
    .paper { fill: #ffffff; }
    text { font: 12px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #1b1f24; white-space: pre; }
    .dim { fill: #59636e; }
    .number { text-anchor: end; font-weight: bold; }
    path { fill: none; stroke: #8c959f; }
    @media (prefers-color-scheme: dark) {
      .paper { fill: #0d1117; }
      text { fill: #e6edf3; }
      .dim { fill: #9198a1; }
      path { stroke: #6e7681; }
    }
`;

export const svg: Exporter = {
  name: 'svg',
  summary: 'the PCI tree with its groups, as a picture',
  scope: 'machine',
  styles: 'either',
  write(input) {
    const rows = layOut(deviceTree(input));
    const longest = Math.max(0, ...rows.map((row) => textX(row) + [...words(row.node)].length * CHARACTER));
    const width = Math.ceil(Math.max(longest, LEFT + LEGEND.length * CHARACTER) + 16);
    const height = TOP + (rows.length + 1) * ROW + TOP;
    const board = input.describer.host().board;
    const title = `IOMMU groups${board === undefined ? '' : ` of ${board}`}`;
    return {
      text: [
        '<?xml version="1.0" encoding="UTF-8"?>\n',
        `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">\n`,
        `  <title>${xml(title)}</title>\n  <style>\n${STYLE}  </style>\n`,
        `  <rect class="paper" width="${width}" height="${height}"/>\n`,
        ...rows.map((row) => tint(row, width)),
        ...rows.map(branch),
        ...rows.map(rowText),
        `  <text class="dim" x="${LEFT}" y="${TOP + rows.length * ROW + 19}">${xml(LEGEND)}</text>\n`,
        '</svg>\n',
      ].join(''),
    };
  },
};

const LEGEND = 'left: group number; bridges: + isolates, - does not, ? not known; [driver]';

function layOut(roots: TreeNode[]): Row[] {
  const rows: Row[] = [];
  const visit = (node: TreeNode, depth: number, parent: Row | undefined, last: boolean): void => {
    const row = { node, depth, parent, last, y: TOP + rows.length * ROW };
    rows.push(row);
    for (const child of node.children) visit(child, depth + 1, row, child === node.children.at(-1));
  };
  for (const root of roots) visit(root, 0, undefined, true);
  return rows;
}

const textX = ({ depth }: Row): number => LEFT + depth * INDENT;

/** Colours far apart for numbers close together: steps of the golden angle. */
function tint({ node, y }: Row, width: number): string {
  if (node.group === undefined) return '';
  const hue = Math.round((node.group * 137.508) % 360);
  return `  <rect x="8" y="${y + 1}" width="${width - 16}" height="${ROW - 2}" rx="3" fill="hsl(${hue},65%,50%)" fill-opacity="0.18"/>\n`;
}

/** To the right from the parent's stem; the last child draws the stem. */
function branch(row: Row): string {
  if (row.parent === undefined) return '';
  const x = textX(row.parent) + 5;
  const middle = row.y + ROW / 2;
  const start = row.last ? `${row.parent.y + ROW - 4}V${middle}` : middle;
  return `  <path d="M${x} ${start}H${textX(row) - 4}"/>\n`;
}

function rowText(row: Row): string {
  const { node, y } = row;
  const line = y + 15;
  const number =
    node.group === undefined
      ? ''
      : `  <text class="number" x="${LEFT - 14}" y="${line}">${node.group}</text>\n`;
  const className = node.group === undefined ? ' class="dim"' : '';
  return `${number}  <text${className} x="${textX(row)}" y="${line}">${xml(words(node))}</text>\n`;
}

/** Address, what it is, driver: where that is too long, what it is gets cut. */
function words(node: TreeNode): string {
  const driver = node.driver === undefined ? '' : ` [${cut(oneLine(node.driver), LONGEST_DRIVER)}]`;
  const place = [node.name, node.mark, node.title].filter(Boolean).join(' ');
  return cut(oneLine(place), LONGEST - [...driver].length) + driver;
}

function cut(text: string, room: number): string {
  const characters = [...text];
  return characters.length <= room ? text : `${characters.slice(0, room - 1).join('')}…`;
}
