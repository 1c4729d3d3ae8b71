/** What-if as switches, and what became of the devices. */

import { useState } from 'preact/hooks';
import type { WhatIfAnswer } from '../../src/advise/explore-what-if.ts';
import type { ExploreNode, ExploreReport } from '../../src/advise/report.ts';
import type { Way, Worth } from '../../src/advise/report-whatif.ts';
import { useAnswer } from './hooks.ts';
import type { Source } from './source.ts';

const POLICIES = ['linux-6.12', 'vtd-2012', 'amd-2012', 'acs-2025', 'generic', 'single'];

const WORTHS: Record<Worth, string> = {
  real: 'real isolation',
  firmware: 'real, if firmware shows it',
  rules: 'other rules, same hardware',
  claim: 'a claim, no isolation',
};

export function WhatIf(props: {
  source: Source;
  overview: ExploreReport;
  changes: string[];
  onChanges(changes: string[]): void;
  view: 'before' | 'after';
  onView(view: 'before' | 'after'): void;
  selected: ExploreNode | undefined;
  answer: WhatIfAnswer | undefined;
  problem: string | undefined;
  waiting: boolean;
  short(name: string): string;
  onSelect(name: string): void;
}) {
  const { changes, onChanges, answer, selected, short } = props;
  const valueFor = (kind: string): string | undefined =>
    changes.find((change) => change.startsWith(`${kind}=`))?.slice(kind.length + 1);
  const set = (kind: string, value: string | undefined): void =>
    onChanges([
      ...changes.filter((change) => !change.startsWith(`${kind}=`)),
      ...(value === undefined ? [] : [`${kind}=${value}`]),
    ]);
  const override = new Set(valueFor('acs-override')?.split(','));
  const toggle = (word: string): void => {
    const words = ['downstream', 'multifunction'].filter((one) => override.has(one) !== (one === word));
    set('acs-override', words.length === 0 ? undefined : words.join(','));
  };
  return (
    <section class="what-if" aria-labelledby="what-if-title">
      <h2 id="what-if-title">What if</h2>
      <fieldset>
        <legend>The kernel</legend>
        {['downstream', 'multifunction'].map((word) => (
          <label class="switch" key={word}>
            <input type="checkbox" checked={override.has(word)} onChange={() => toggle(word)} />{' '}
            pcie_acs_override={word}
          </label>
        ))}
        <label class="switch">
          <input
            type="checkbox"
            checked={valueFor('iommu') === 'off'}
            onChange={(event) => set('iommu', event.currentTarget.checked ? 'off' : undefined)}
          />{' '}
          IOMMU off
        </label>
        <label>
          Rules of{' '}
          <select
            value={valueFor('policy') ?? ''}
            onChange={(event) => set('policy', event.currentTarget.value || undefined)}
          >
            <option value="">this machine</option>
            {POLICIES.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
      </fieldset>
      <AboutDevice
        {...props}
        add={(change) => onChanges([...changes.filter((one) => one !== change), change])}
      />
      {changes.length > 0 && (
        <>
          <h3>Changes</h3>
          <ul class="changes">
            {changes.map((change) => (
              <li key={change}>
                {answer?.report.changes.find(({ text }) => text === change)?.what ?? change}{' '}
                <button
                  type="button"
                  aria-label={`Take back ${change}`}
                  onClick={() => onChanges(changes.filter((one) => one !== change))}
                >
                  ✕
                </button>
              </li>
            ))}
          </ul>
          <fieldset class="before-after" aria-label="Which state is drawn">
            {(['before', 'after'] as const).map((view) => (
              <button
                type="button"
                key={view}
                aria-pressed={props.view === view}
                onClick={() => props.onView(view)}
              >
                {view === 'before' ? 'Before' : 'After'}
              </button>
            ))}
            <button type="button" onClick={() => onChanges([])}>
              Take all back
            </button>
          </fieldset>
        </>
      )}
      {props.problem !== undefined && (
        <p class="warning" role="alert">
          {props.problem}
        </p>
      )}
      <div aria-live="polite">
        {changes.length > 0 && answer !== undefined && (
          <Outcome answer={answer} short={short} onSelect={props.onSelect} />
        )}
        {changes.length === 0 && selected === undefined && (
          <p class="hint">
            Choose a device in the picture to move it, remove it, or set the ACS bits of a port.
          </p>
        )}
      </div>
    </section>
  );
}

function AboutDevice({
  source,
  onChanges,
  overview,
  selected,
  short,
  add,
}: {
  source: Source;
  onChanges(changes: string[]): void;
  overview: ExploreReport;
  selected: ExploreNode | undefined;
  short(name: string): string;
  add(change: string): void;
}) {
  const [port, setPort] = useState('');
  const [flags, setFlags] = useState('xx11101');
  if (selected === undefined || selected.kind === 'bus') return null;
  const bridge = selected.mark !== undefined;
  const free = emptyPorts(overview.tree);
  return (
    <fieldset>
      <legend>{short(selected.name)}</legend>
      {bridge && (
        <p class="controls">
          <label>
            ACS bits{' '}
            <input
              size={8}
              value={flags}
              pattern="[01x]{1,7}"
              onInput={(event) => setFlags(event.currentTarget.value)}
            />
          </label>
          <button type="button" onClick={() => add(`set-acs=${selected.name}=${flags}`)}>
            Set
          </button>
          <button type="button" onClick={() => add(`firmware-acs=${selected.name}`)}>
            Firmware shows ACS
          </button>
        </p>
      )}
      <p class="controls">
        <button type="button" onClick={() => add(`remove=${selected.name}`)}>
          Remove {bridge ? 'with all below' : 'the card'}
        </button>
        {free.length > 0 && (
          <>
            <label>
              Move to{' '}
              <select value={port} onChange={(event) => setPort(event.currentTarget.value)}>
                <option value="">port…</option>
                {free.map(({ name, mark }) => (
                  <option key={name} value={name}>
                    {short(name)} {mark === '+' ? 'isolates' : mark === '-' ? 'open' : 'not known'}
                  </option>
                ))}
              </select>
            </label>
            <button type="button" disabled={port === ''} onClick={() => add(`move=${selected.name}=${port}`)}>
              Move
            </button>
          </>
        )}
      </p>
      {!bridge && (
        <Ways key={selected.name} source={source} device={selected.name} short={short} onTry={onChanges} />
      )}
    </fieldset>
  );
}

const REACHES: Record<Way['reaches'], string> = {
  alone: 'a group of its own',
  card: 'a group of its card alone',
  virtual: 'a virtual function has a group of its own',
  fewer: 'fewer others',
};

/** What gives a device a group of its own, searched for when asked. */
function Ways({
  source,
  device,
  short,
  onTry,
}: {
  source: Source;
  device: string;
  short(name: string): string;
  onTry(changes: string[]): void;
}) {
  const [asked, setAsked] = useState(false);
  const { value, problem, waiting } = useAnswer(
    () => (asked ? source.goal(device) : undefined),
    [source, device, asked],
  );
  return (
    <div class="ways">
      <button type="button" onClick={() => setAsked(true)} disabled={asked && waiting}>
        What gives {short(device)} a group of its own?
      </button>
      <div aria-live="polite">
        {asked && waiting && <p>Trying …</p>}
        {problem !== undefined && <p class="warning">{problem}</p>}
        {value?.reachable === 'already' && <p>It has one already.</p>}
        {value?.because !== undefined && <p>{value.because}</p>}
        <ol class="outcomes">
          {value?.ways.map(({ changes, worth, reaches, certain }) => (
            <li key={changes.map(({ text }) => text).join(' ')}>
              {changes.map(({ what }) => what).join('; and ')}: <b>{REACHES[reaches]}</b>, {WORTHS[worth]}
              {!certain && ', not certain'}{' '}
              <button
                type="button"
                aria-label={`Try: ${changes.map(({ what }) => what).join('; and ')}`}
                onClick={() => onTry(changes.map(({ text }) => text))}
              >
                Try
              </button>
            </li>
          ))}
        </ol>
      </div>
    </div>
  );
}

function emptyPorts(roots: readonly ExploreNode[]): ExploreNode[] {
  const found: ExploreNode[] = [];
  const visit = (node: ExploreNode): void => {
    if (node.mark !== undefined && node.children.length === 0) found.push(node);
    for (const child of node.children) visit(child);
  };
  for (const root of roots) visit(root);
  return found;
}

function Outcome({
  answer: { report },
  short,
  onSelect,
}: {
  answer: WhatIfAnswer;
  short(name: string): string;
  onSelect(name: string): void;
}) {
  const { groups, gained, lost } = report.summary;
  const worths = (Object.keys(WORTHS) as Worth[]).filter((worth) => gained[worth] > 0);
  return (
    <>
      <p>
        <b>
          {groups.before} groups before, {groups.after} after.
        </b>{' '}
        {worths.map((worth) => `${gained[worth]} gain (${WORTHS[worth]}). `)}
        {lost > 0 && `${lost} lose.`}
        {report.devices.length === 0 && 'Nothing changes.'}
      </p>
      {report.parameters.length > 0 && (
        <p>
          To type: <code>{report.parameters.join(' ')}</code>
        </p>
      )}
      <ul class="outcomes">
        {report.devices.slice(0, 200).map(({ device, effect, worth, now, after }) => (
          <li key={device.address}>
            <button type="button" class="link" onClick={() => onSelect(now ?? device.address)}>
              {short(device.address)}
            </button>{' '}
            <b>{effect}</b>
            {worth !== undefined && `, ${WORTHS[worth]}`}
            {now !== null && now !== device.address && `, now ${short(now)}`}
            {after != null &&
              (after.length === 0 ? ': alone' : `: with ${after.map(short).slice(0, 8).join(' ')}`)}
          </li>
        ))}
      </ul>
      {report.notes.map((note) => (
        <p key={note}>{note}</p>
      ))}
    </>
  );
}
