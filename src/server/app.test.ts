import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Explorer } from '../advise/explore.ts';
import { readHost } from '../host/read-host.ts';
import type { Snapshot } from '../host/snapshot.ts';
import { PciIds } from '../pci/ids.ts';
import { makeApp } from './app.ts';
import { Live } from './live.ts';
import { Machines } from './machines.ts';
import { SessionWatch } from './session-watch.ts';

const file = join(import.meta.dirname, '../../examples/desktop.json');
const ids = new PciIds('');
const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const page = new Map([['/', { type: 'text/html', plain: bytes('page'), gzip: bytes('packed') }]]);
const here = { host: '127.0.0.1:7420' };

let live: Live;
let sessionsFolder: string;
beforeEach(() => {
  sessionsFolder = join(mkdtempSync(join(tmpdir(), 'ringfence-')), 'sessions');
});
afterEach(() => {
  live?.stop();
  rmSync(join(sessionsFolder, '..'), { recursive: true });
});

function app(read: () => Promise<Snapshot> = () => readHost(file)) {
  const machines = new Machines([{ name: 'desktop', live: true, read }], ids);
  live = new Live([{ machine: 0, read }], (machine) => machines.forget(machine), 5);
  const sessions = new SessionWatch(sessionsFolder, 5);
  return makeApp({ page, machines, live, sessions, pciIds: () => undefined, port: () => 7420 });
}

test.each([
  ['127.0.0.1:7420', 200],
  ['localhost:7420', 200],
  ['LOCALHOST:7420', 200],
  ['[::1]:7420', 200],
  ['127.0.0.1:7421', 403],
  ['127.0.0.1', 403],
  ['rebound.example:7420', 403],
  ['', 403],
])('Host %s is answered with %i', async (host, status) => {
  expect((await app().request('/', { headers: { host } })).status).toBe(status);
});

test('without a Host header nothing is answered', async () => {
  expect((await app().request('/')).status).toBe(403);
});

test.each([
  [{ origin: 'http://127.0.0.1:7420' }, 200],
  [{ origin: 'https://127.0.0.1:7420' }, 403],
  [{ origin: 'http://evil.example' }, 403],
  [{ origin: 'null' }, 403],
  [{ 'sec-fetch-site': 'same-origin' }, 200],
  [{ 'sec-fetch-site': 'none' }, 200],
  [{ 'sec-fetch-site': 'cross-site' }, 403],
  [{ 'sec-fetch-site': 'same-site' }, 403],
])('%o is answered with %i', async (headers, status) => {
  const answer = await app().request('/api/machines', { headers: { ...here, ...headers } });
  expect(answer.status).toBe(status);
});

test('every answer, refusals and failures too, forbids inline script, frames and guessing', async () => {
  for (const [path, headers] of [
    ['/', here],
    ['/', { host: 'evil.example' }],
    ['/nothing', here],
    ['/api/machines/0/device?name=nothing', here],
  ] as const) {
    const answer = await app().request(path, { headers });
    const policy = answer.headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  }
});

test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])(
  '%s is refused where nothing is computed',
  async (method) => {
    for (const path of ['/', '/api/machines', '/api/machines/0', '/api/machines/0/snapshot'])
      expect((await app().request(path, { method, headers: here })).status).toBe(405);
  },
);

test('reports are those of the commands', async () => {
  const explorer = new Explorer(await readHost(file), ids);
  const get = async (path: string): Promise<unknown> => (await app().request(path, { headers: here })).json();
  const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
  expect(await get('/api/machines')).toEqual([{ id: 0, name: 'desktop', live: true }]);
  expect(await get('/api/machines/0')).toEqual(plain(explorer.overview()));
  expect(await get('/api/machines/0/device?name=0000:07:00.0')).toEqual(
    plain(explorer.device('0000:07:00.0')),
  );
  expect(await get('/api/machines/0/export?format=qemu&device=0000:07:00.0')).toEqual(
    plain(explorer.export('qemu', ['0000:07:00.0'])),
  );
});

test.each([
  ['/api/machines/1', 404],
  ['/api/machines/x', 404],
  ['/api/machines/0/device?name=../../etc/passwd', 400],
  ['/api/machines/0/export?format=nothing', 400],
  ['/../package.json', 404],
  ['/page.html', 404],
])('%s is answered with %i', async (path, status) => {
  expect((await app().request(path, { headers: here })).status).toBe(status);
});

function ask(body: string, headers: Record<string, string> = { 'content-type': 'application/json' }) {
  return app().request('/api/machines/0/what-if', { method: 'POST', headers: { ...here, ...headers }, body });
}

test('what-if answers with the report and both pictures', async () => {
  const answer = (await (await ask('{"changes": ["acs-override=downstream"]}')).json()) as {
    report: { report: string };
    before: { list: { groups: unknown[] } };
    after: { list: { groups: unknown[] } };
  };
  expect(answer.report.report).toBe('whatif');
  expect(answer.after.list.groups.length).toBeGreaterThan(answer.before.list.groups.length);
});

test.each([
  ['broken JSON', '{', 400],
  ['no list', '{"changes": 1}', 400],
  ['no text', '{"changes": [1]}', 400],
  ['nothing', 'null', 400],
  ['too many', JSON.stringify({ changes: Array(65).fill('iommu=off') }), 400],
  ['a long one', JSON.stringify({ changes: ['x'.repeat(1001)] }), 400],
  ['too long a body', JSON.stringify({ changes: ['x'.repeat(70_000)] }), 413],
  ['no such change', '{"changes": ["explode=now"]}', 400],
  ['no such device', '{"changes": ["remove=0000:7f:00.0"]}', 400],
])('what-if refuses %s', async (_, body, status) => {
  expect((await ask(body)).status).toBe(status);
});

test('what-if takes JSON alone, so that no form of another page can ask', async () => {
  expect((await ask('{"changes": []}', { 'content-type': 'text/plain' })).status).toBe(415);
});

test('a snapshot is sent as captures have it, without serial numbers', async () => {
  const snapshot = await readHost(file);
  snapshot.kernel = { ...snapshot.kernel, cmdline: 'root=UUID=secret iommu=pt' };
  const answer = await app(async () => snapshot).request('/api/machines/0/snapshot', { headers: here });
  expect(await answer.text()).not.toContain('secret');
});

test('events come as watch tells them, and the reports after them are fresh', async () => {
  const first = await readHost(file);
  let now = first;
  const served = app(async () => now);
  await served.request('/api/machines/0', { headers: here });
  const answer = await served.request('/api/events', { headers: here });
  const reader = answer.body!.getReader();
  const read = async (): Promise<string> => new TextDecoder().decode((await reader.read()).value);
  expect(await read()).toContain('event: ready');
  await new Promise((resolve) => setTimeout(resolve, 30));
  now = structuredClone(first);
  now.devices.find(({ address }) => address === '0000:07:00.0')!.driver = 'vfio-pci';
  let told = '';
  while (!told.includes('"event":"bind"')) told += await read();
  expect(told).toContain('"machine":0');
  await reader.cancel();
  const fresh = await (await served.request('/api/machines/0', { headers: here })).text();
  expect(fresh).toContain('"driver":"vfio-pci"');
});

test('sessions are listed, and told to who listens when they change', async () => {
  const served = app();
  const list = async () => (await served.request('/api/sessions', { headers: here })).json();
  expect(await list()).toEqual([]);
  const answer = await served.request('/api/events', { headers: here });
  const reader = answer.body!.getReader();
  const read = async (): Promise<string> => new TextDecoder().decode((await reader.read()).value);
  expect(await read()).toContain('event: ready');
  const session = { pid: process.pid, program: 'vmm', contexts: [] };
  mkdirSync(sessionsFolder, { mode: 0o700 });
  writeFileSync(join(sessionsFolder, `${process.pid}.json`), JSON.stringify(session));
  let told = '';
  while (!told.includes('event: sessions')) told += await read();
  await reader.cancel();
  expect(await list()).toEqual([session]);
});
