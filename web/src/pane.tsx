/** One machine: its name and state, search, zoom, and the picture. */

import type { RefObject } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { WhatIfAnswer } from '../../src/advise/explore-what-if.ts';
import type { ExploreNode, ExploreReport, ReasonLine } from '../../src/advise/report.ts';
import type { Place } from './address.ts';
import { Tree } from './tree.tsx';
import { CLAIM, MARKS, shortener } from './words.ts';

export interface PaneProps {
  label: string;
  overview: ExploreReport | undefined;
  problem: string | undefined;
  place: Place;
  go(change: Partial<Place>): void;
  searchBox: RefObject<HTMLInputElement | null>;
  reveal: { name: string; at: number } | undefined;
  chain: readonly ReasonLine[];
  answer: WhatIfAnswer | undefined;
  onSelect(name: string | undefined): void;
}

export function Pane(props: PaneProps) {
  const { label, overview, place, go, answer } = props;
  const [zoom, setZoom] = useState(1);
  const [jump, setJump] = useState<{ name: string; at: number } | undefined>(undefined);
  const roots = overview?.tree ?? NO_ROOTS;
  const collapsed = useMemo(() => new Set(place.collapsed), [place.collapsed]);
  const short = useMemo(() => shortener(roots), [roots]);
  const found = useMemo(() => search(roots, place.search), [roots, place.search]);
  const changed = useMemo(() => changedWords(answer, place.view), [answer, place.view]);
  const before = useMemo(() => namesBefore(answer, place.view), [answer, place.view]);
  const parents = useMemo(() => parentsOf(roots), [roots]);

  function uncover(name: string): void {
    const above = new Set<string>();
    for (let at = parents.get(name); at !== undefined; at = parents.get(at)) above.add(at);
    if (place.collapsed.some((closed) => above.has(closed)))
      go({ collapsed: place.collapsed.filter((closed) => !above.has(closed)) });
  }
  useEffect(() => {
    if (props.reveal !== undefined) {
      uncover(props.reveal.name);
      setJump(props.reveal);
    }
  }, [props.reveal, overview]);

  function next(): void {
    const names = [...(found ?? [])];
    if (names.length === 0) return;
    const at = names.indexOf(jump?.name ?? '');
    const name = names[(at + 1) % names.length]!;
    uncover(name);
    setJump({ name, at: Date.now() });
  }

  const zoomTo = (value: number): void => setZoom(Math.min(2.5, Math.max(0.3, value)));
  const branches = (): string[] => [...new Set(parents.values())].filter((name) => !isRoot(roots, name));
  return (
    <section class="pane" aria-label={label}>
      <div class="pane-bar">
        <h2>{overview?.host.board ?? label}</h2>
        <p class="state">
          {overview === undefined ? 'Reading …' : stateWords(overview, answer !== undefined)}
        </p>
        <search>
          <form
            onSubmit={(event) => {
              event.preventDefault();
              next();
            }}
          >
            <input
              ref={props.searchBox}
              type="search"
              aria-label={`Search in ${label}`}
              placeholder="Search: name, driver, group 3   ( / )"
              value={place.search}
              onInput={(event) => go({ search: event.currentTarget.value })}
            />
            <span class="count" role="status">
              {found === undefined ? '' : `${found.size} found${found.size > 0 ? ', Enter: next' : ''}`}
            </span>
          </form>
        </search>
        <fieldset class="zoom" aria-label="Picture">
          <button type="button" aria-label="Smaller" onClick={() => zoomTo(zoom / 1.2)}>
            −
          </button>
          <button type="button" title="Usual size" onClick={() => zoomTo(1)}>
            {Math.round(zoom * 100)}%
          </button>
          <button type="button" aria-label="Larger" onClick={() => zoomTo(zoom * 1.2)}>
            +
          </button>
          <button
            type="button"
            onClick={() => go({ collapsed: place.collapsed.length > 0 ? [] : branches() })}
          >
            {place.collapsed.length > 0 ? 'Open all' : 'Close all'}
          </button>
        </fieldset>
      </div>
      {props.problem !== undefined && (
        <p class="warning" role="alert">
          {props.problem}
        </p>
      )}
      {overview !== undefined && <Doubts overview={overview} />}
      {overview !== undefined && (
        <Tree
          label={`PCI tree of ${label}`}
          roots={roots}
          collapsed={collapsed}
          onCollapse={(name, closed) =>
            go({
              collapsed: closed
                ? [...place.collapsed, name]
                : place.collapsed.filter((other) => other !== name),
            })
          }
          selected={place.device}
          onSelect={props.onSelect}
          found={found}
          reveal={jump}
          chain={props.chain}
          changed={changed}
          keyOf={(name) => before.get(name) ?? name}
          zoom={zoom}
          onZoom={zoomTo}
        />
      )}
      <p class="legend">
        Outlines are IOMMU groups, by number. Ports:
        {[...Object.values(MARKS), CLAIM].map(([name, sign, word]) => (
          <span key={sign} class={`mark mark-${name}`}>
            {' '}
            {sign} {word}
          </span>
        ))}
        {props.chain.length > 0 && (
          <>
            {' '}
            <span class="step">1</span> a reason that speaks of it
          </>
        )}
      </p>
      <span class="sr" role="status">
        {place.device === undefined ? '' : `${short(place.device)} chosen`}
      </span>
    </section>
  );
}

const NO_ROOTS: ExploreNode[] = [];

/** What keeps the list from being the whole truth, above the picture. */
function Doubts({ overview: { list } }: { overview: ExploreReport }) {
  const lines = [...list.iommu.missing.map(({ detail, remedy }) => `${detail}: ${remedy}`), ...list.notes];
  if (lines.length === 0) return null;
  return (
    <details class="doubts">
      <summary>{lines.length === 1 ? 'One thing' : `${lines.length} things`} to know of this machine</summary>
      <ul>
        {lines.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
    </details>
  );
}

/** @param tried the machine as it would be, of whose IOMMU the recording tells nothing */
function stateWords({ list, host }: ExploreReport, tried: boolean): string {
  const devices = list.groups.reduce((sum, group) => sum + group.devices.length, 0) + list.ungrouped.length;
  const many = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;
  return [
    `${many(devices, 'device')} in ${many(list.groups.length, 'group')}`,
    list.source === 'kernel' ? 'as the kernel formed them' : `as the rules form them (${list.policy})`,
    !tried && `IOMMU ${list.iommu.state === 'unknown' ? 'not known' : list.iommu.state}`,
    host.kernel && `Linux ${host.kernel}`,
  ]
    .filter(Boolean)
    .join(' · ');
}

/** Every word has to be somewhere: in the name, title, driver or state, or as the number of the group. */
function search(roots: readonly ExploreNode[], text: string): ReadonlySet<string> | undefined {
  const [, group] = /\bgroup\s+(\d+)\b/i.exec(text) ?? [];
  const words = text
    .replace(/\bgroup\s+\d+\b/i, '')
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean);
  if (words.length === 0 && group === undefined) return undefined;
  const found = new Set<string>();
  const visit = (node: ExploreNode): void => {
    const all = `${node.name} ${node.title} ${node.driver ?? ''} ${node.holder ?? ''}`.toLowerCase();
    const right = group === undefined || node.group === Number(group);
    if (node.kind === 'device' && right && words.every((word) => all.includes(word))) found.add(node.name);
    for (const child of node.children) visit(child);
  };
  for (const root of roots) visit(root);
  return found;
}

function changedWords(answer: WhatIfAnswer | undefined, view: 'before' | 'after'): Map<string, string> {
  const found = new Map<string, string>();
  for (const { device, now, effect } of answer?.report.devices ?? []) {
    const name = view === 'before' ? device.address : now;
    if (name !== null && effect !== 'renamed') found.set(name, effect);
  }
  return found;
}

/** A card that moved stays the same card, so that it is seen moving. */
function namesBefore(answer: WhatIfAnswer | undefined, view: 'before' | 'after'): Map<string, string> {
  const found = new Map<string, string>();
  if (answer === undefined || view === 'before') return found;
  for (const { device, now, effect } of answer.report.devices)
    if (now !== null && now !== device.address && effect !== 'new') found.set(now, device.address);
  // Whoever has a name now that another had before is not that other.
  const taken = new Set(found.values());
  for (const name of found.values()) if (!found.has(name) && taken.has(name)) found.set(name, `${name} now`);
  return found;
}

function parentsOf(roots: readonly ExploreNode[]): Map<string, string> {
  const found = new Map<string, string>();
  const visit = (node: ExploreNode): void => {
    for (const child of node.children) {
      found.set(child.name, node.name);
      visit(child);
    }
  };
  for (const root of roots) visit(root);
  return found;
}

const isRoot = (roots: readonly ExploreNode[], name: string): boolean =>
  roots.some((root) => root.name === name);
