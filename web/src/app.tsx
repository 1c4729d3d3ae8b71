/** The page: machines that are open, the picture, and what is known of what is chosen. */

import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ExploreNode, ExploreReport } from '../../src/advise/report.ts';
import { type Place, readPlace, writePlace } from './address.ts';
import { Compare } from './compare.tsx';
import { Details } from './details.tsx';
import { useAnswer } from './hooks.ts';
import { Events, useEvents, useSessions } from './live.tsx';
import { Pane } from './pane.tsx';
import { model, type Source, served } from './source.ts';
import { Spaces } from './spaces.tsx';
import { WhatIf } from './what-if.tsx';
import { shortener } from './words.ts';

export function App({ brought }: { brought: Source | undefined }) {
  const [sources, setSources] = useState<Source[]>(brought === undefined ? [] : [brought]);
  const [place, setPlace] = useState<Place>(() => readPlace(location.hash));
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const [ready, setReady] = useState(brought !== undefined);
  const [panel, setPanel] = useState<'device' | 'what-if' | 'compare' | 'events' | 'spaces' | undefined>(
    () => {
      const { changes, device } = readPlace(location.hash);
      return changes.length > 0 ? 'what-if' : device === undefined ? undefined : 'device';
    },
  );
  const [dragging, setDragging] = useState(false);
  const [reveal, setReveal] = useState<{ name: string; at: number } | undefined>(
    place.device === undefined ? undefined : { name: place.device, at: Date.now() },
  );
  const search = useRef<HTMLInputElement>(null);
  const files = useRef<HTMLInputElement>(null);

  useEffect(() => {
    served().then(
      (found) => {
        setSources((old) => [...old, ...found]);
        setReady(true);
      },
      (error: Error) => {
        setProblem(error.message);
        setReady(true);
      },
    );
    const followAddress = (): void => setPlace(readPlace(location.hash));
    addEventListener('hashchange', followAddress);
    return () => removeEventListener('hashchange', followAddress);
  }, []);

  const go = useCallback((change: Partial<Place>): void => {
    setPlace((old) => ({ ...old, ...change }));
  }, []);
  useEffect(() => {
    const hash = writePlace(place);
    if (hash !== location.hash) history.replaceState(undefined, '', hash === '' ? location.pathname : hash);
  }, [place]);

  const source = sources[place.machine] ?? sources[0];
  const beside = place.beside === undefined ? undefined : sources[place.beside];
  const { events, stamp } = useEvents(sources.some(({ live }) => live));
  const sessions = useSessions();
  const overview = useAnswer(() => source?.overview(), [source, source?.live ? stamp : 0], source);
  const whatIf = useAnswer(
    () => (place.changes.length === 0 ? undefined : source?.whatIf({ changes: place.changes })),
    [source, place.changes.join('\n'), source?.live ? stamp : 0],
    source,
  );
  const device = useAnswer(
    () => (place.device === undefined ? undefined : source?.device(place.device)),
    [source, place.device, source?.live ? stamp : 0],
    source,
  );
  const answer = place.changes.length > 0 ? whatIf.value : undefined;
  const drawn: ExploreReport | undefined =
    answer === undefined ? overview.value : place.view === 'before' ? answer.before : answer.after;
  const short = useMemo(() => shortener(drawn?.tree ?? []), [drawn]);
  const selected = useMemo(() => findNode(drawn?.tree ?? [], place.device), [drawn, place.device]);

  const select = useCallback(
    (name: string | undefined): void => {
      go({ device: name });
      if (name !== undefined) setReveal({ name, at: Date.now() });
      setPanel((old) =>
        name === undefined ? (old === 'device' ? undefined : old) : old === 'what-if' ? old : 'device',
      );
    },
    [go],
  );

  async function open(list: Iterable<File>): Promise<void> {
    setProblem(undefined);
    for (const file of list) {
      try {
        const opened = await (await model()).openFile(file);
        await opened.overview();
        setSources((old) => {
          go({ machine: old.length, device: undefined, changes: [], search: '' });
          return [...old, opened];
        });
        setPanel(undefined);
      } catch (error) {
        setProblem((error as Error).message);
      }
    }
  }

  useEffect(() => {
    const key = (event: KeyboardEvent): void => {
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test((event.target as Element).tagName);
      if (event.key === '/' && !typing) {
        event.preventDefault();
        search.current?.focus();
      } else if (event.key === 'Escape') {
        setPanel(undefined);
        go({ device: undefined, search: '' });
      }
    };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  }, [go]);

  const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') === true;
  const panels: [NonNullable<typeof panel>, string, boolean][] = [
    ['device', 'Device', place.device !== undefined],
    ['what-if', 'What if', true],
    ['compare', 'Compare', sources.length > 1],
    ['events', `Events${events.length > 0 ? ` (${events.length})` : ''}`, sources.some(({ live }) => live)],
    ['spaces', 'Address spaces', sessions.length > 0 || panel === 'spaces'],
  ];

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: files can be opened by the button too
    <div
      class={dragging ? 'page dragging' : 'page'}
      onDragOver={(event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        setDragging(true);
      }}
      onDragLeave={(event) => {
        if (event.relatedTarget === null) setDragging(false);
      }}
      onDrop={(event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        setDragging(false);
        void open(event.dataTransfer?.files ?? []);
      }}
    >
      <header class="bar">
        <h1>Ringfence</h1>
        {sources.length > 1 && (
          <>
            <label>
              <span class="sr">Machine</span>
              <select
                value={String(place.machine)}
                onChange={(event) =>
                  go({ machine: Number(event.currentTarget.value), device: undefined, changes: [] })
                }
              >
                {sources.map(({ name }, index) => (
                  <option key={`${index} ${name}`} value={String(index)}>
                    {name}
                  </option>
                ))}
              </select>
            </label>
            <label class="beside">
              Beside{' '}
              <select
                value={String(place.beside ?? '')}
                onChange={(event) => {
                  const { value } = event.currentTarget;
                  go({ beside: value === '' ? undefined : Number(value) });
                }}
              >
                <option value="">nothing</option>
                {sources.map(({ name }, index) =>
                  index === place.machine ? null : (
                    <option key={`${index} ${name}`} value={String(index)}>
                      {name}
                    </option>
                  ),
                )}
              </select>
            </label>
          </>
        )}
        <button type="button" onClick={() => files.current?.click()}>
          Open…
        </button>
        <input
          ref={files}
          class="sr"
          type="file"
          multiple
          tabIndex={-1}
          aria-label="Snapshot files"
          onChange={(event) => {
            void open([...(event.currentTarget.files ?? [])]);
            event.currentTarget.value = '';
          }}
        />
        <nav aria-label="Panels">
          {panels
            .filter(([, , offered]) => offered)
            .map(([name, words]) => (
              <button
                type="button"
                key={name}
                aria-pressed={panel === name}
                onClick={() => setPanel(panel === name ? undefined : name)}
              >
                {words}
              </button>
            ))}
        </nav>
      </header>
      {problem !== undefined && (
        <p class="warning problem" role="alert">
          {problem}{' '}
          <button type="button" aria-label="Dismiss" onClick={() => setProblem(undefined)}>
            ✕
          </button>
        </p>
      )}
      <main>
        <div class="panes">
          {source === undefined ? (
            <p class="empty">
              {ready
                ? 'Drop a snapshot here: a capture, a sysfs archive, or lspci text. It is read in this page and sent nowhere.'
                : 'Reading the machine …'}
            </p>
          ) : (
            <Pane
              key={`${place.machine} ${source.name}`}
              label={source.name}
              overview={drawn}
              problem={overview.problem}
              place={place}
              go={go}
              searchBox={search}
              reveal={reveal}
              chain={
                panel === 'device' && device.value?.show.devices[0]?.device.address === place.device
                  ? device.value!.chain
                  : []
              }
              answer={answer}
              onSelect={select}
            />
          )}
          {beside !== undefined && <Beside key={beside.name} source={beside} />}
        </div>
        {panel !== undefined && (
          <aside aria-label="About the machine" class="panel">
            {panel === 'device' && source !== undefined && overview.value !== undefined && (
              <>
                {device.problem !== undefined && <p class="warning">{device.problem}</p>}
                {place.device === undefined && <p class="hint">Choose a device in the picture.</p>}
                {place.device !== undefined && device.value !== undefined && (
                  <Details
                    source={source}
                    overview={overview.value}
                    device={device.value}
                    short={short}
                    onSelect={select}
                    onClose={() => select(undefined)}
                  />
                )}
              </>
            )}
            {panel === 'what-if' && source !== undefined && overview.value !== undefined && (
              <WhatIf
                source={source}
                overview={overview.value}
                changes={place.changes}
                onChanges={(changes) => go({ changes, view: 'after' })}
                view={place.view}
                onView={(view) => go({ view })}
                selected={selected}
                answer={answer}
                problem={place.changes.length > 0 ? whatIf.problem : undefined}
                waiting={whatIf.waiting}
                short={short}
                onSelect={select}
              />
            )}
            {panel === 'compare' && (
              <Compare
                sources={sources}
                machine={place.machine}
                beside={place.beside}
                go={go}
                onSelect={select}
              />
            )}
            {panel === 'spaces' && <Spaces sessions={sessions} />}
            {panel === 'events' && <Events events={events} onSelect={select} />}
          </aside>
        )}
      </main>
      {dragging && <div class="drop">Drop it: it is read here and sent nowhere.</div>}
    </div>
  );
}

/** Another machine to look at, next to the one that is asked about. */
function Beside({ source }: { source: Source }) {
  const overview = useAnswer(() => source.overview(), [source]);
  const [place, setPlace] = useState<Place>(() => ({ ...readPlace(''), search: '' }));
  const search = useRef<HTMLInputElement>(null);
  return (
    <Pane
      label={`${source.name}, beside`}
      overview={overview.value}
      problem={overview.problem}
      place={place}
      go={(change) => setPlace((old) => ({ ...old, ...change }))}
      searchBox={search}
      reveal={undefined}
      chain={[]}
      answer={undefined}
      onSelect={(device) => setPlace((old) => ({ ...old, device }))}
    />
  );
}

function findNode(roots: readonly ExploreNode[], name: string | undefined): ExploreNode | undefined {
  if (name === undefined) return undefined;
  for (const node of roots) {
    const found = node.name === name ? node : findNode(node.children, name);
    if (found !== undefined) return found;
  }
  return undefined;
}
