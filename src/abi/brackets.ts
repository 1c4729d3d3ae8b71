/** Which bracket closes which: `<…>`, `{…}`, `[…]` and `(…)`, nested; one without its partner is a plain character. */

const CLOSES: Readonly<Record<string, string>> = { '<': '>', '{': '}', '[': ']', '(': ')' };
const CLOSING = new Set(Object.values(CLOSES));

/** Place of the closing bracket by place of the opening one. */
export function bracketPairs(text: string): Map<number, number> {
  const pairs = new Map<number, number>();
  const open: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char in CLOSES) open.push(at);
    else if (CLOSING.has(char)) {
      const from = open.findLastIndex((place) => CLOSES[text[place]!] === char);
      if (from < 0) continue;
      pairs.set(open[from]!, at);
      open.length = from;
    }
  }
  return pairs;
}

/** Splits at characters that stand in no bracket. */
export function splitOutside(text: string, separators: RegExp): string[] {
  if (!separators.test(text)) return [text];
  const pairs = bracketPairs(text);
  const parts: string[] = [];
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const close = pairs.get(at);
    if (close !== undefined) at = close;
    else if (separators.test(text[at]!)) {
      parts.push(text.slice(from, at));
      from = at + 1;
    }
  }
  parts.push(text.slice(from));
  return parts;
}
