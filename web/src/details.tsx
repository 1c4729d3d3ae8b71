/** One device: verdict, the chain of reasons, facts, plan and exports. */

import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type {
  ExploreDevice,
  ExploreReport,
  Finding,
  PlanReport,
  ShowDevice,
} from '../../src/advise/report.ts';
import { Copyable } from './copy.tsx';
import { useAnswer } from './hooks.ts';
import type { Source } from './source.ts';

const SIGNS = { yes: '✓', no: '✕', 'cannot tell': '?' } as const;

export function Details(props: {
  source: Source;
  overview: ExploreReport;
  device: ExploreDevice;
  short(name: string): string;
  onSelect(name: string): void;
  onClose(): void;
}) {
  const { device, short } = props;
  const [shown] = device.show.devices;
  const [why] = device.why.devices;
  if (shown === undefined || why === undefined) return null;
  const { line, title } = { line: shown.device, title: titleOf(shown) };
  const name = line.address;
  return (
    <section class="details" aria-labelledby="device-name">
      <header>
        <h2 id="device-name">
          {short(name)} <small>{title}</small>
        </h2>
        <button type="button" class="close" aria-label="Close" onClick={props.onClose}>
          ✕
        </button>
      </header>

      <Part title="Verdict" open>
        <p class={`verdict verdict-${device.check.verdict.replace(' ', '-')}`}>
          <b>
            {SIGNS[device.check.verdict]} {VERDICTS[device.check.verdict]}
          </b>
        </p>
        <Findings findings={device.check.findings} />
      </Part>

      <Part title="How it came there" open>
        {why.group === null ? (
          <p>In no group{why.noGroup === undefined ? '' : `: ${why.noGroup}`}.</p>
        ) : (
          <>
            <p>
              By the rules of {device.why.policy} in group {why.group.id}
              {why.group.members.length > 1 ? ', with' : ', alone.'}
            </p>
            <Links names={why.group.members.filter((member) => member !== name)} {...props} />
          </>
        )}
        {why.kernelGroup != null && why.kernelGroup.members.join() !== why.group?.members.join() && (
          <p class="warning">
            The kernel has it in group {why.kernelGroup.id}, with{' '}
            {why.kernelGroup.members.map(short).join(', ')}.
          </p>
        )}
        <ol class="chain">
          {device.chain.map(({ words, devices }, index) => (
            <li key={words}>
              <span class="step" aria-hidden="true">
                {index + 1}
              </span>
              <Linked words={words} names={devices} {...props} />
            </li>
          ))}
        </ol>
        {why.others.length > 0 && (
          <>
            <h4>How the others came to it</h4>
            <ul>
              {why.others.map(({ devices, because }) => (
                <li key={because}>
                  <b>{devices.map(short).join(' ')}</b>: {because}
                </li>
              ))}
            </ul>
          </>
        )}
        {why.changes.length > 0 && (
          <>
            <h4>What would change it</h4>
            <ul>
              {why.changes.map(({ what, effect }) => (
                <li key={what}>
                  {what} <em>({EFFECTS[effect]})</em>
                </li>
              ))}
            </ul>
          </>
        )}
      </Part>

      <Part title="Everything known">
        <Facts device={shown} />
      </Part>
      <Part title="Hand-over plan">
        {'problem' in device.plan ? <p>{device.plan.problem}</p> : <Plan plan={device.plan} name={name} />}
      </Part>
      <Part title="Exports">
        <Exports source={props.source} overview={props.overview} name={name} />
      </Part>
    </section>
  );
}

const VERDICTS = {
  yes: 'Yes: it can be handed over.',
  no: 'No: something is in the way.',
  'cannot tell': 'Cannot tell: a fact is missing that could be in the way.',
} as const;

const EFFECTS = {
  isolates: 'real isolation',
  claims: 'a claim, no isolation',
  reveals: 'better data',
  none: 'no effect',
} as const;

function titleOf({ device }: ShowDevice): string {
  const { className, vendorName, deviceName, vendor, device: id } = device;
  const words = [vendorName, deviceName].filter(Boolean).join(' ');
  return [className, words || (vendor && `${vendor}:${id}`)].filter(Boolean).join(': ');
}

function Part({ title, open, children }: { title: string; open?: boolean; children: ComponentChildren }) {
  return (
    <details open={open}>
      <summary>
        <h3>{title}</h3>
      </summary>
      {children}
    </details>
  );
}

function Links({
  names,
  short,
  onSelect,
}: {
  names: readonly string[];
  short(name: string): string;
  onSelect(name: string): void;
}) {
  if (names.length === 0) return null;
  return (
    <span class="links">
      {names.slice(0, 40).map((name) => (
        <button type="button" class="link" key={name} onClick={() => onSelect(name)}>
          {short(name)}
        </button>
      ))}
      {names.length > 40 && ` and ${names.length - 40} more`}
    </span>
  );
}

/** A sentence in which the devices it names can be chosen. */
function Linked({
  words,
  names,
  short,
  onSelect,
}: {
  words: string;
  names: readonly string[];
  short(name: string): string;
  onSelect(name: string): void;
}) {
  const byWord = new Map(names.map((name) => [short(name), name]));
  const parts = words.split(/((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7])/);
  return (
    <span>
      {parts.map((part, index) => {
        const name = byWord.get(part);
        if (name === undefined) return part;
        return (
          <button type="button" class="link" key={`${index} ${part}`} onClick={() => onSelect(name)}>
            {part}
          </button>
        );
      })}
    </span>
  );
}

function Findings({ findings }: { findings: readonly Finding[] }) {
  return (
    <ul class="findings">
      {findings.map(({ severity, code, what, remedy }) => (
        <li key={code + what}>
          <b class={`severity ${severity}`}>{severity}</b> {what} <code>{code}</code>
          {remedy !== undefined && <div class="remedy">→ {remedy}</div>}
        </li>
      ))}
    </ul>
  );
}

/** Every field of the report, by its name, in its order. */
function Facts({ device }: { device: ShowDevice }) {
  const { device: line, ...rest } = device;
  const facts = Object.entries({ ...line, ...rest }).filter(([, value]) => value !== undefined);
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{words(name)}</dt>
          <dd>{valueWords(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

const words = (name: string): string => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function valueWords(value: unknown): string {
  if (value === null) return 'none';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(valueWords).join('; ');
  if (typeof value === 'object')
    return Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .map(([name, inner]) => `${words(name)} ${valueWords(inner)}`)
      .join(', ');
  return String(value);
}

function Plan({ plan, name }: { plan: PlanReport; name: string }) {
  const writes = plan.steps.map(({ path, value }) => `printf '%s' ${quoted(value)} > ${quoted(path)}`);
  const text = [...plan.commands.map(({ run }) => run), ...writes].join('\n');
  return (
    <>
      <p>
        {plan.devices.length === 0
          ? `Nothing to do for ${plan.driver}.`
          : `${plan.devices.map(({ address }) => address).join(', ')} to ${plan.driver}. The page does not do it:`}
      </p>
      <Copyable label="the command" text={`ringfence plan ${name} --yes --json > plan.json`} />
      <ol>
        {plan.steps.map(({ path, value, before, why }) => (
          <li key={path + value}>
            <code>{path}</code>: {value.trim() === '' ? 'an empty line' : value}, now {before ?? 'none'}.{' '}
            {why}
          </li>
        ))}
      </ol>
      {plan.refusals.length > 0 && <h4>In the way</h4>}
      {plan.refusals.length > 0 && (
        <ul>
          {plan.refusals.map(({ code, what }) => (
            <li key={code + what}>
              <code>{code}</code>: {what}
            </li>
          ))}
        </ul>
      )}
      {text !== '' && <Copyable label="the writes" text={text} />}
      <Copyable label="the plan for ringfence apply" text={JSON.stringify(plan, undefined, 2)} />
    </>
  );
}

/** For a shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

function Exports({ source, overview, name }: { source: Source; overview: ExploreReport; name: string }) {
  const [format, setFormat] = useState('libvirt');
  const [iommufd, setIommufd] = useState(false);
  const { value, problem } = useAnswer(
    () => source.export(format, [name], iommufd),
    [source, format, name, iommufd],
  );
  return (
    <>
      <p class="controls">
        <label>
          Format{' '}
          <select value={format} onChange={(event) => setFormat(event.currentTarget.value)}>
            {overview.formats.map((one) => (
              <option key={one.name} value={one.name}>
                {one.name}
              </option>
            ))}
          </select>
        </label>
        <label>
          <input
            type="checkbox"
            checked={iommufd}
            onChange={(event) => setIommufd(event.currentTarget.checked)}
          />{' '}
          through iommufd
        </label>
      </p>
      <p>{overview.formats.find((one) => one.name === format)?.summary}</p>
      {problem !== undefined && <p class="warning">{problem}</p>}
      {value?.problems.map((one) => (
        <p class="warning" key={one}>
          {one}
        </p>
      ))}
      {value?.notes.map((note) => (
        <p key={note}>{note}</p>
      ))}
      {value?.text !== undefined && <Copyable label={`the ${format} text`} text={value.text} />}
    </>
  );
}
