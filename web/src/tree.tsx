/** The picture: cards in a tree, groups as outlines around them, and the way up from the chosen device. */

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ExploreNode, ReasonLine } from '../../src/advise/report.ts';
import { branch, CARD_HEIGHT, type Layout, layOut, type Placed, pathUp } from './layout.ts';
import { type Outline, outlines } from './outlines.ts';
import { CLAIM, HOLDERS, MARKS, shortener } from './words.ts';

/** Pixels an em of the picture has at zoom 1. */
const EM = 13;
/** Up to here every card is in the page; of more, those in sight. */
const ALL = 400;
/** Em drawn beyond the edges of what is in sight. */
const BEYOND = 40;
const NARROW = 700;
/** Milliseconds for which what was asked for is kept in sight. */
const REVEALING = 3000;

export interface TreeProps {
  label: string;
  roots: readonly ExploreNode[];
  collapsed: ReadonlySet<string>;
  onCollapse(name: string, collapsed: boolean): void;
  selected: string | undefined;
  onSelect(name: string | undefined): void;
  /** Found by search; absent: nothing is searched for. */
  found: ReadonlySet<string> | undefined;
  /** To be shown, and when it was last asked for. */
  reveal: { name: string; at: number } | undefined;
  chain: readonly ReasonLine[];
  /** What became of devices, in words. */
  changed: ReadonlyMap<string, string>;
  /** What a card is called over time: before it moved. */
  keyOf(name: string): string;
  zoom: number;
  onZoom(zoom: number): void;
}

export function Tree(props: TreeProps) {
  const { roots, collapsed, selected, zoom, reveal } = props;
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 2000, width: 1000 });
  const [active, setActive] = useState<string | undefined>(undefined);
  const em = EM * zoom;
  const narrow = view.width < NARROW;

  useLayoutEffect(() => {
    const place = box.current!;
    const measure = (): void =>
      setView({ top: place.scrollTop, height: place.clientHeight, width: place.clientWidth });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(place);
    place.addEventListener('scroll', measure, { passive: true });
    return () => {
      observer.disconnect();
      place.removeEventListener('scroll', measure);
    };
  }, []);

  const narrowWidth = narrow ? view.width / em : undefined;
  const layout = useMemo(
    () => layOut(roots, { collapsed, ...(narrowWidth !== undefined && { narrow: narrowWidth }) }),
    [roots, collapsed, narrowWidth],
  );
  const short = useMemo(() => shortener(roots), [roots]);
  const steps = useMemo(() => stepsAt(props.chain), [props.chain]);
  const path = useMemo(
    () => new Set(pathUp(layout.byName.get(selected ?? '')).map(({ node }) => node.name)),
    [layout, selected],
  );

  const from = view.top / em - BEYOND;
  const to = (view.top + view.height) / em + BEYOND;
  // Redrawn when another window of it comes into sight, not at every pixel.
  const [first, last] =
    layout.placed.length <= ALL ? [-1, 1e9] : [Math.floor(from / 20) * 20, Math.ceil(to / 20) * 20];
  const drawn = useMemo(
    () => layout.placed.filter(({ y }) => y + CARD_HEIGHT >= first && y <= last),
    [layout, first, last],
  );
  const shapes = useMemo(() => outlines(layout, first, last), [layout, first, last]);
  const tabStop = pickTabStop(layout, active, selected);

  // Again when a panel opens beside the picture and takes of its place.
  useEffect(() => {
    if (reveal !== undefined && Date.now() - reveal.at < REVEALING) show(reveal.name, false);
  }, [reveal, layout, view.height, view.width]);

  function show(name: string, focus: boolean): void {
    const at = layout.byName.get(name);
    const place = box.current;
    if (at === undefined || place === null) return;
    setActive(name);
    const [top, left] = [at.y * em, at.x * em];
    const margin = 3 * em;
    if (top < place.scrollTop + margin) place.scrollTop = top - margin;
    else if (top + CARD_HEIGHT * em > place.scrollTop + place.clientHeight - margin)
      place.scrollTop = top + CARD_HEIGHT * em + margin - place.clientHeight;
    if (left < place.scrollLeft) place.scrollLeft = Math.max(0, left - em);
    else if (left + at.width * em > place.scrollLeft + place.clientWidth)
      place.scrollLeft = left + at.width * em + em - place.clientWidth;
    if (focus) focusOn(idOf(props.label, name));
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = layout.byName.get(tabStop ?? '');
    if (at === undefined) return;
    const next = moved(layout, at, event.key);
    if (next === 'open' || next === 'close') props.onCollapse(at.node.name, next === 'close');
    else if (next === 'choose') props.onSelect(at.node.kind === 'bus' ? undefined : at.node.name);
    else if (next !== undefined) show(next.node.name, true);
    else if (event.key === '+' || event.key === '=') props.onZoom(zoom * 1.2);
    else if (event.key === '-') props.onZoom(zoom / 1.2);
    else if (event.key === '0') props.onZoom(1);
    else return;
    event.preventDefault();
  }

  function onWheel(event: WheelEvent): void {
    if (!event.ctrlKey) return;
    event.preventDefault();
    props.onZoom(zoom * Math.exp(-event.deltaY / 300));
  }

  return (
    <div class="picture" ref={box} onWheel={onWheel}>
      <div
        class={zoom < 0.62 ? 'canvas far' : 'canvas'}
        style={{ fontSize: `${em}px`, width: `${layout.width}em`, height: `${layout.height}em` }}
      >
        <svg
          class="lines"
          aria-hidden="true"
          viewBox={`0 0 ${layout.width} ${layout.height}`}
          style={{ width: `${layout.width}em`, height: `${layout.height}em` }}
        >
          {shapes.map((shape) => (
            <OutlineShape key={shape.group} {...shape} />
          ))}
          <path class="branches" d={drawn.map((at) => branch(at, layout.indented)).join('')} />
          <path
            class="way"
            d={pathUp(layout.byName.get(selected ?? ''))
              .map((at) => branch(at, layout.indented))
              .join('')}
          />
        </svg>
        <div role="tree" aria-label={props.label} onKeyDown={onKeyDown}>
          {drawn.map((at) => (
            <Card
              key={props.keyOf(at.node.name)}
              id={idOf(props.label, at.node.name)}
              at={at}
              short={short(at.node.name)}
              selected={selected === at.node.name}
              onPath={path.has(at.node.name)}
              dim={props.found !== undefined && !props.found.has(at.node.name)}
              tab={tabStop === at.node.name}
              steps={steps.get(at.node.name)}
              changed={props.changed.get(at.node.name)}
              onFocus={() => setActive(at.node.name)}
              onToggle={() => props.onCollapse(at.node.name, !at.collapsed)}
              onSelect={() => props.onSelect(at.node.kind === 'bus' ? undefined : at.node.name)}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

function OutlineShape({ hue, boxes, bonds }: Outline) {
  return (
    <g class="outline" style={{ '--hue': hue }}>
      <path class="edge bonds" d={bonds} />
      <path class="edge" d={boxes} />
      <path class="inside bonds" d={bonds} />
      <path class="inside" d={boxes} />
    </g>
  );
}

interface CardProps {
  id: string;
  at: Placed;
  short: string;
  selected: boolean;
  onPath: boolean;
  dim: boolean;
  tab: boolean;
  /** Numbers of the sentences that speak of it. */
  steps: number[] | undefined;
  changed: string | undefined;
  onFocus(): void;
  onToggle(): void;
  onSelect(): void;
}

function Card({ id, at, short, selected, onPath, dim, tab, steps, changed, ...on }: CardProps) {
  const { node } = at;
  const leaf = node.children.length === 0;
  const names = [
    'card',
    node.kind,
    node.holder ?? '',
    selected && 'selected',
    onPath && 'on-path',
    dim && 'dim',
    changed !== undefined && 'changed',
  ];
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the tree around it takes the keys
    <div
      id={id}
      role="treeitem"
      class={names.filter(Boolean).join(' ')}
      style={{ left: `${at.x}em`, top: `${at.y}em`, width: `${at.width}em`, height: `${CARD_HEIGHT}em` }}
      tabIndex={tab ? 0 : -1}
      aria-level={at.depth + 1}
      aria-posinset={at.position}
      aria-setsize={at.siblings}
      aria-selected={selected}
      {...(!leaf && { 'aria-expanded': !at.collapsed })}
      onFocus={on.onFocus}
      onClick={on.onSelect}
    >
      <div class="first">
        {!leaf && (
          <span
            class="toggle"
            aria-hidden="true"
            onClick={(event) => {
              event.stopPropagation();
              on.onToggle();
            }}
          >
            {at.collapsed ? `▸ ${at.below}` : '▾'}
          </span>
        )}
        <b>{short}</b>
        <Mark node={node} />
        {steps?.map((step) => (
          <span class="step" key={step}>
            <span class="sr">reason </span>
            {step}
          </span>
        ))}
        <span class="push" />
        {changed !== undefined && <span class="tag new">{changed}</span>}
        {node.uncertain && <span class="tag">not certain</span>}
        {node.inUse !== undefined && (
          <span class="tag" title={node.inUse}>
            in use
          </span>
        )}
        {node.group !== undefined && (
          <span class="group">
            <span class="sr">group </span>
            {node.group}
          </span>
        )}
      </div>
      <div class="second">
        <span class="title" title={node.title}>
          {node.title}
        </span>
        {node.kind === 'device' && (
          <span class="driver" title={node.holder && HOLDERS[node.holder]}>
            {node.driver !== undefined && <span class="sr">driver </span>}
            {driverWords(node)}
            {node.holder === 'vfio' && <span class="sr">, {HOLDERS.vfio}</span>}
          </span>
        )}
      </div>
    </div>
  );
}

/** What the ACS of a port does: by sign and word, colour only beside them. */
function Mark({ node: { mark, because, claimed } }: { node: ExploreNode }) {
  if (mark === undefined) return null;
  const [name, sign, word] = claimed ? CLAIM : MARKS[mark];
  return (
    <span class={`mark mark-${name}`} title={because}>
      <span aria-hidden="true">{sign} </span>
      {word}
    </span>
  );
}

function driverWords({ driver, holder }: ExploreNode): string {
  if (driver !== undefined) return driver;
  return holder === 'nobody' ? 'no driver' : 'driver ?';
}

function stepsAt(chain: readonly ReasonLine[]): Map<string, number[]> {
  const found = new Map<string, number[]>();
  chain.forEach(({ devices }, index) => {
    for (const device of devices) found.set(device, [...(found.get(device) ?? []), index + 1]);
  });
  return found;
}

function pickTabStop(layout: Layout, ...wanted: (string | undefined)[]): string | undefined {
  return wanted.find((name) => name !== undefined && layout.byName.has(name)) ?? layout.placed[0]?.node.name;
}

/** At once where it is drawn, so that a key held down goes on from there; else when it is. */
function focusOn(id: string, patience = 3): void {
  const element = document.getElementById(id);
  if (element !== null) element.focus({ preventScroll: true });
  else if (patience > 0) requestAnimationFrame(() => focusOn(id, patience - 1));
}

const idOf = (label: string, name: string): string => `${label.replace(/\W+/g, '-')}-${name}`;

/** Where a key leads from a card, or what it does there, as trees do it everywhere. */
function moved(layout: Layout, at: Placed, key: string): Placed | 'open' | 'close' | 'choose' | undefined {
  const { placed } = layout;
  const index = placed.indexOf(at);
  const branches = at.node.children.length > 0;
  switch (key) {
    case 'ArrowDown':
      return placed[index + 1] ?? at;
    case 'ArrowUp':
      return placed[index - 1] ?? at;
    case 'ArrowRight':
      return at.collapsed ? 'open' : (at.children[0] ?? at);
    case 'ArrowLeft':
      return branches && !at.collapsed ? 'close' : (at.parent ?? at);
    case 'Home':
      return placed[0];
    case 'End':
      return placed.at(-1);
    case 'PageDown':
      return placed[Math.min(placed.length - 1, index + 10)];
    case 'PageUp':
      return placed[Math.max(0, index - 10)];
    case 'Enter':
    case ' ':
      return 'choose';
    default:
      return undefined;
  }
}
