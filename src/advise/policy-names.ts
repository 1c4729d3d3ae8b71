/** Names that an object of a JSON text has more than once, of which `JSON.parse` keeps the last and says nothing. */

export function lineOf(text: string, at: number): number {
  return text.slice(0, at).split('\n').length;
}

/** @param json a text that `JSON.parse` takes */
export function repeatedName(json: string): { name: string; line: number } | undefined {
  /** Names of the objects that are open; `null` for lists. */
  const open: (Set<string> | null)[] = [];
  for (const { 0: token, index } of json.matchAll(/"(?:[^"\\]|\\.)*"\s*:?|[{}[\]]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(null);
    else if (token === '}' || token === ']') open.pop();
    else if (token.endsWith(':')) {
      const names = open.at(-1)!;
      const name: string = JSON.parse(token.slice(0, -1));
      if (names!.has(name)) return { name, line: lineOf(json, index) };
      names!.add(name);
    }
  }
  return undefined;
}
