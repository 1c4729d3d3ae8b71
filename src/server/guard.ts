/** Who may ask: programs of this machine that say this machine's name, and pages that came from here. */

/** Names under which a server on 127.0.0.1 is rightly called. A foreign one is a page that rebinds its DNS name. */
const NAMES = ['127.0.0.1', 'localhost', '[::1]'];

/** Headers of a request that decide. */
export interface Asked {
  host: string | undefined;
  origin: string | undefined;
  /** `Sec-Fetch-Site`: what the browser says of where the request comes from. */
  site: string | undefined;
}

/** Why a request is refused; nothing where it is not. */
export function refusal({ host, origin, site }: Asked, port: number): string | undefined {
  const hosts = NAMES.map((name) => `${name}:${port}`);
  if (host === undefined || !hosts.includes(host.toLowerCase()))
    return `this server answers to ${hosts[0]} and ${hosts[1]} only`;
  if (origin !== undefined && origin !== `http://${host.toLowerCase()}`)
    return 'another origin asks; only the page of this server may';
  if (site !== undefined && site !== 'same-origin' && site !== 'none')
    return 'another site asks; only the page of this server may';
  return undefined;
}

/** Sent with every answer: scripts and styles from here alone, nothing inline, no frames, no guessing of types. */
export const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};
