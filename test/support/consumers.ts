/** Programs that read what we export, where they are installed; tests of them skip, saying so, where they are not. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Ran {
  code: number | null;
  out: string;
  err: string;
}

export function tool(command: string, words: string[], input = ''): Ran {
  const { status, stdout, stderr, error } = spawnSync(command, words, {
    input,
    encoding: 'utf8',
    timeout: 20_000,
    maxBuffer: 1 << 26,
  });
  return error === undefined
    ? { code: status, out: stdout, err: stderr }
    : { code: null, out: '', err: String(error) };
}

/** Whether a program is there and runs. */
export function has(command: string, ...words: string[]): boolean {
  return tool(command, words).code !== null;
}

export const hasPython = tool('python3', ['-c', 'import yaml']).code === 0;

/** Every document of a YAML stream, as PyYAML reads it (Debian: python3-yaml). */
export function pyYaml(text: string): unknown[] {
  const program = 'import json,sys,yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin.buffer))))';
  const { code, out, err } = tool('python3', ['-c', program], text);
  if (code !== 0) throw new Error(err);
  return JSON.parse(out) as unknown[];
}

/** Writes a file for a program that wants one, and takes it away. */
export function withFile<T>(name: string, text: string, use: (path: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'ringfence-consumer-'));
  try {
    const path = join(folder, name);
    writeFileSync(path, text);
    return use(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** libvirt's own schemas (Debian: libvirt0; another place: RINGFENCE_LIBVIRT_SCHEMAS). */
export const libvirtSchemas = process.env.RINGFENCE_LIBVIRT_SCHEMAS ?? '/usr/share/libvirt/schemas';
export const hasLibvirtSchemas = existsSync(join(libvirtSchemas, 'domain.rng'));
