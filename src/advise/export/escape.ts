/**
 * Names of devices, drivers and groups come from outside (pci.ids, lspci text, snapshot files). Here they are made
 * fit for each format. Everything but `oneLine` keeps what can be said in the format exactly.
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g;
/** XML forbids these, and no other format has a use for them. */
const NONCHARACTERS = /[\ufffe\uffff]/g;
const LONE_SURROGATES = /\p{Surrogate}/gu;

/** Text that can be written as UTF-8: half a pair becomes the replacement character. */
export function wellFormed(text: string): string {
  return text.replace(LONE_SURROGATES, '\ufffd');
}

/** Text on one line: control characters become a blank, what is no Unicode text the replacement character. */
export function oneLine(text: string): string {
  return wellFormed(text).replace(NONCHARACTERS, '\ufffd').replace(CONTROLS, ' ').trim();
}

/** Content of an XML element, or of an attribute in either kind of quotes. */
export function xml(text: string): string {
  return oneLine(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;');
}

/** Inside `<!-- -->`, where two hyphens end the comment. */
export function xmlComment(text: string): string {
  return oneLine(text)
    .replace(/-(?=-)/g, '- ')
    .replace(/-$/, '- ');
}

/** A label's value in the Prometheus text format, without the quotes. */
export function prometheusLabel(text: string): string {
  return oneLine(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"');
}

/** A label of dot, without the quotes: backslashes begin escapes there, ampersands entities. */
export function dotLabel(text: string): string {
  return oneLine(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('&', '&amp;');
}

/** A YAML scalar: plain where nobody can take it for anything but text, else in double quotes. */
export function yamlScalar(value: string | number | boolean): string {
  if (typeof value !== 'string') return String(value);
  return PLAIN.test(value) && !RESERVED.test(value) ? value : yamlQuoted(value);
}

/** Begins with a letter, ends with a letter or digit, no `: ` or ` #` in it. */
const PLAIN = /^[A-Za-z](?:[\w./-]*[A-Za-z0-9])?$/;
/** What YAML 1.1 or 1.2 take for truth, nothing or a number. */
const RESERVED = /^(?:y|yes|n|no|true|false|on|off|null|nan|inf)$/i;

function yamlQuoted(text: string): string {
  // JSON's escapes are YAML's; the rest must not stand there raw.
  const raw = JSON.stringify(wellFormed(text));
  return raw.replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
