/** Address spaces of programs that run in a simulated machine, as maps and tables. */

import type { SessionPicture } from '../../src/guest/sessions.ts';

type Space = SessionPicture['contexts'][number]['spaces'][number];
type Area = Space['areas'][number];

export function Spaces({ sessions }: { sessions: readonly SessionPicture[] }) {
  return (
    <section aria-labelledby="spaces-title">
      <h2 id="spaces-title">Address spaces</h2>
      {sessions.length === 0 && <p class="hint">No program runs in ringfence run --trace.</p>}
      {sessions.map(({ pid, program, contexts }) => (
        <section key={pid} aria-label={`${program}, process ${pid}`}>
          <h4>
            {program} ({pid})
          </h4>
          {contexts.length === 0 && <p class="hint">It has no iommufd open.</p>}
          {contexts.map(({ label, objects, spaces, hwpts }) => (
            <div key={label}>
              <p>
                <b>{label}</b>: {objects.map(({ id, type }) => `${type} ${id}`).join(', ') || 'no objects'}
              </p>
              {spaces.map((space) => (
                <SpaceMap
                  key={space.id}
                  space={space}
                  hwpts={hwpts.filter(({ ioas }) => ioas === space.id).map(({ id }) => id)}
                />
              ))}
            </div>
          ))}
        </section>
      ))}
    </section>
  );
}

/** Of the picture, as its viewBox has them. */
const GAP = 14;
const HEIGHT = 26;

function SpaceMap({ space, hwpts }: { space: Space; hwpts: readonly number[] }) {
  const bars: { area: Area; x: number; width: number }[] = [];
  let x = 0;
  let next: bigint | undefined;
  for (const area of space.areas) {
    // Where nothing is mapped the axis is cut short.
    if (next === undefined ? BigInt(area.iova) > 0n : BigInt(area.iova) > next) x += GAP;
    const width = 12 + 4 * (lengthOf(area).toString(2).length - 1);
    bars.push({ area, x, width });
    x += width;
    next = BigInt(area.last) + 1n;
  }
  const total = x + GAP;
  return (
    <div class="space">
      <p>
        IOAS {space.id}
        {hwpts.length > 0 && `, in page tables of HWPT ${hwpts.join(', ')}`}
      </p>
      {bars.length === 0 ? (
        <p class="hint">Nothing is mapped.</p>
      ) : (
        <>
          <svg viewBox={`0 0 ${total} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
            <line class="gap" x1="0" x2={total} y1={HEIGHT / 2} y2={HEIGHT / 2} />
            {bars.map(({ area, x, width }) => (
              <rect key={area.iova} class={`prot${area.prot & 3}`} x={x} y="2" width={width} height="22">
                <title>{`${area.iova}, ${sizeOf(area)}, ${rightsOf(area)}`}</title>
              </rect>
            ))}
          </svg>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is to be reached by keys */}
          <section class="areas" aria-label={`Areas of IOAS ${space.id}`} tabIndex={0}>
            <table>
              <thead>
                <tr>
                  <th scope="col">Address</th>
                  <th scope="col">Last</th>
                  <th scope="col">Length</th>
                  <th scope="col">Rights</th>
                </tr>
              </thead>
              <tbody>
                {space.areas.map((area) => (
                  <tr key={area.iova}>
                    <td>{area.iova}</td>
                    <td>{area.last}</td>
                    <td>{sizeOf(area)}</td>
                    <td>{rightsOf(area)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
          {space.more > 0 && <p class="hint">And {space.more} more.</p>}
        </>
      )}
    </div>
  );
}

function lengthOf({ iova, last }: Area): bigint {
  return BigInt(last) - BigInt(iova) + 1n;
}

function sizeOf(area: Area): string {
  const length = lengthOf(area);
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  let unit = 0;
  let value = length;
  for (; unit < units.length - 1 && value % 1024n === 0n; unit++) value /= 1024n;
  return `${value} ${units[unit]}`;
}

function rightsOf({ prot }: Area): string {
  return [prot & 1 ? 'read' : '', prot & 2 ? 'write' : ''].filter(Boolean).join(', ') || 'none';
}
