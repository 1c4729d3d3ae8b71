/** Types of the source as text without comments: what a format promises, down to the types it is made of. */

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

interface Source {
  declarations: Map<string, string>;
  /** Name here, and where it comes from. */
  imports: Map<string, { file: string; name: string }>;
}

const sources = new Map<string, Source>();

/** Every declaration that the type needs, in one order. */
export function typeShape(file: string, name: string): string {
  const needed = new Map<string, string>();
  collect(file, name, needed);
  if (needed.size === 0) throw new Error(`${file} declares no ${name}`);
  return [...needed.values()].sort().join('\n');
}

function collect(file: string, name: string, needed: Map<string, string>): void {
  const source = sourceOf(file);
  const text = source.declarations.get(name);
  if (text === undefined) {
    const from = source.imports.get(name);
    if (from !== undefined) collect(from.file, from.name, needed);
    return;
  }
  const key = `${file} ${name}`;
  if (needed.has(key)) return;
  needed.set(key, text);
  for (const [word] of text.replace(/'[^']*'/g, '').matchAll(/\b[A-Z]\w*/g)) collect(file, word, needed);
}

function sourceOf(file: string): Source {
  const known = sources.get(file);
  if (known !== undefined) return known;
  const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '');
  const source: Source = { declarations: new Map(), imports: new Map() };
  for (const found of text.matchAll(/^(?:import|export) (?:type )?\{([^}]*)\} from '(\.[^']*)'/gm)) {
    for (const part of found[1]!.split(',')) {
      const [name, as = name] = part
        .trim()
        .replace(/^type /, '')
        .split(' as ');
      if (name) source.imports.set(as!, { file: join(dirname(file), found[2]!), name });
    }
  }
  for (const found of text.matchAll(/^(?:export )?(?:interface|type|const) (\w+)/gm)) {
    source.declarations.set(found[1]!, declaration(text, found.index));
  }
  sources.set(file, source);
  return source;
}

/** To the brace that closes an interface, or the semicolon that ends anything else; blanks say nothing. */
function declaration(text: string, from: number): string {
  const isInterface = /^(export )?interface /.test(text.slice(from, from + 20));
  let depth = 0;
  let end = from;
  for (; end < text.length; end++) {
    const char = text[end]!;
    if ('{[('.includes(char)) depth++;
    else if ('}])'.includes(char) && --depth === 0 && isInterface) break;
    else if (char === ';' && depth === 0 && !isInterface) break;
  }
  return text
    .slice(from, end + 1)
    .replace(/^export /, '')
    .replace(/\s+/g, ' ')
    .replace(/([=:(<{]) \| /g, '$1 ')
    .trim();
}
