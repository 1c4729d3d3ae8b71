/**
 * Text as people paste it, brought back to the lines lspci printed: other encodings, colours, quote marks,
 * timestamps, and error messages that landed in the middle of a line.
 */

/** lspci's longest lines are some hundred characters; more of a line is not looked at. */
const LONGEST_LINE = 2000;

/** UTF-8, with anything else in it replaced; UTF-16 where a byte order mark says so (Windows editors). */
export function decodeText(bytes: Uint8Array): string {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view[0] === 0xff && view[1] === 0xfe) return view.toString('utf16le', 2);
  if (view[0] === 0xef && view[1] === 0xbb && view[2] === 0xbf) return view.toString('utf8', 3);
  return view.toString('utf8');
}

/** Lines without decoration and surrounding space, one for each of the text; empty ones are empty strings. */
export function cleanLines(text: string): string[] {
  const lines: string[] = [];
  for (const raw of text.split(/\r\n|\n|\r/)) {
    const line = raw.length > LONGEST_LINE ? raw.slice(0, LONGEST_LINE) : raw;
    lines.push(undecorate(line.replace(OTHER_BLANKS, ' ')));
  }
  return withoutErrorMessages(lines).map((line) => line.trim());
}

/** No-break spaces and the like, which web pages and word processors put in the place of blanks. */
const OTHER_BLANKS = /(?! )\p{Zs}/gu;

// biome-ignore lint/suspicious/noControlCharactersInRegex: terminals' colours are control characters
const COLOUR = /\u001b\[[0-9;]*[A-Za-z]/g;

const DECORATIONS = [
  /^[>|*•]+ */, // quotes, table borders, list marks
  /^\[ {0,8}\d{1,9}\.\d{1,9}\] */, // [   12.345678]; capability offsets and ids have no point
  /^\[(?:\d{4}-\d\d-\d\d[T ])?\d\d:\d\d:\d\d[^\]]{0,20}\] */,
  /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)? +/,
  /^[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d (?:[\w.-]{1,64} [\w./-]{1,64}(?:\[\d{1,9}\])?: )?/, // syslog
  /^\d\d:\d\d:\d\d(?:[.,]\d{1,9})? +/,
];

/** Leading space stays where nothing stood before it: a line cut in two may go on with a space. */
function undecorate(raw: string): string {
  const line = (raw.includes('\u001b') ? raw.replace(COLOUR, '') : raw).trimEnd();
  let bare = line.trimStart();
  for (let round = 0; round < 3 && /^[>|*•[\dA-Z]/.test(bare); round++) {
    const before = bare;
    for (const decoration of DECORATIONS) bare = bare.replace(decoration, '');
    if (bare === before) return round === 0 ? line : bare;
    bare = bare.trimStart();
  }
  return bare.length === line.trimStart().length ? line : bare;
}

/** What pciutils prints to the error output, which is not buffered and so overtakes half a line. */
const ERROR_MESSAGE = /(?:pcilib|lspci): /;

/** The start of an entry: an address (or a path of them, lspci -P) and the class up to its colon. */
export const HEADER =
  /^((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7](?:\/(?:[0-9a-f]{2}:)?[01][0-9a-f]\.[0-7])*) ([^:"]{1,100}):(?: |$)/i;

function withoutErrorMessages(lines: string[]): string[] {
  const whole: string[] = [];
  for (let i = 0; i < lines.length; i++) {
    let line = lines[i]!;
    const first = i;
    for (let found = line.search(ERROR_MESSAGE); found >= 0; found = line.search(ERROR_MESSAGE)) {
      const head = line.slice(0, found);
      const next = lines[i + 1];
      // A message on a line of its own is dropped; one inside a line is followed by that line's rest.
      if (head === '' && (next === undefined || !ERROR_MESSAGE.test(next))) {
        line = '';
        break;
      }
      const rest =
        next === undefined || (HEADER.test(next) && !/^[0-9a-f]{4,8}:$/i.test(head)) ? undefined : next;
      if (rest !== undefined) i++;
      line = head + (rest ?? '');
      if (line.length > LONGEST_LINE) line = line.slice(0, LONGEST_LINE);
    }
    whole.push(line);
    for (let taken = first; taken < i; taken++) whole.push('');
  }
  return whole;
}
