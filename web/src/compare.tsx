/** Two machines, or one at two times: what differs, as `ringfence diff` says it. */

import type { Place } from './address.ts';
import { useAnswer } from './hooks.ts';
import { compare, type Source } from './source.ts';

export function Compare(props: {
  sources: readonly Source[];
  machine: number;
  beside: number | undefined;
  go(change: Partial<Place>): void;
  onSelect(name: string): void;
}) {
  const { sources, machine, go } = props;
  const other = props.beside ?? sources.findIndex((_, index) => index !== machine);
  const [before, after] = [sources[machine], sources[other]];
  const { value, problem, waiting } = useAnswer(
    () => (before === undefined || after === undefined ? undefined : compare(before, after)),
    [before, after],
  );
  return (
    <section aria-labelledby="compare-title">
      <h2 id="compare-title">Compare</h2>
      <p class="controls">
        From {before?.name} to{' '}
        <select
          aria-label="Compare with"
          value={String(other)}
          onChange={(event) => go({ beside: Number(event.currentTarget.value) })}
        >
          {sources.map(({ name }, index) =>
            index === machine ? null : (
              <option key={`${index} ${name}`} value={String(index)}>
                {name}
              </option>
            ),
          )}
        </select>
      </p>
      {problem !== undefined && <p class="warning">{problem}</p>}
      <div aria-live="polite">
        {waiting && value === undefined && <p>Comparing …</p>}
        {value?.same && <p>The same.</p>}
        <ul class="diff">
          {value?.changes.map(({ kind, where, before: old, after: now }) => (
            <li key={`${kind} ${where}`}>
              <b>{kind}</b>{' '}
              <button type="button" class="link" onClick={() => props.onSelect(where)}>
                {where}
              </button>
              {old !== undefined && <div class="old">− {old}</div>}
              {now !== undefined && <div class="now">+ {now}</div>}
            </li>
          ))}
        </ul>
      </div>
    </section>
  );
}
