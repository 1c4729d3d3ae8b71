/**
 * The Prometheus text format 0.0.4, as documented ("Exposition formats"): a reader that refuses what the format does
 * not allow, and gives label values back as they were meant.
 */

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** @throws Error naming the line */
export function parsePrometheus(text: string): Sample[] {
  if (!text.endsWith('\n')) throw new Error('no line feed at the end');
  const samples: Sample[] = [];
  const types = new Map<string, string>();
  const helps = new Set<string>();
  const closed = new Set<string>();
  let open = '';
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line);
    const name = comment?.[2] ?? /^[a-zA-Z_:][\w:]*/.exec(line)?.[0];
    if (name === undefined) throw new Error(`no metric: ${line}`);
    if (name !== open && open !== '') closed.add(open);
    if (closed.has(name)) throw new Error(`${name}: lines of one metric stand together`);
    open = name;
    if (comment?.[1] === 'TYPE') {
      if (types.has(name) || samples.some((sample) => sample.name === name)) throw new Error(`TYPE ${name}`);
      if (!['counter', 'gauge', 'histogram', 'summary', 'untyped'].includes(comment[3]!))
        throw new Error(`TYPE ${name} ${comment[3]}`);
      types.set(name, comment[3]!);
    } else if (comment?.[1] === 'HELP') {
      if (helps.has(name)) throw new Error(`HELP ${name} twice`);
      helps.add(name);
    } else samples.push(parseSample(line));
  }
  const keys = samples.map((sample) => JSON.stringify([sample.name, Object.entries(sample.labels).sort()]));
  if (new Set(keys).size !== keys.length) throw new Error('a sample twice');
  return samples;
}

function parseSample(line: string): Sample {
  const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
  if (found === null) throw new Error(`no sample: ${line}`);
  const labels: Record<string, string> = {};
  let rest = found[2] ?? '';
  while (rest !== '') {
    const pair = /^([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/.exec(rest);
    if (pair === null || pair[1]! in labels) throw new Error(`labels: ${rest}`);
    labels[pair[1]!] = pair[2]!.replace(/\\(.)/g, (_, char) => (char === 'n' ? '\n' : char));
    rest = rest.slice(pair[0].length);
  }
  const value = Number(found[3]);
  if (Number.isNaN(value)) throw new Error(`value: ${line}`);
  return { name: found[1]!, labels, value };
}
