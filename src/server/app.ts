/**
 * What the server answers: the page, reports, and computations of "what if". Nothing it does changes the machine,
 * and every answer is a report as `--json` prints it.
 */

import { Hono, type Context as Request } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { streamSSE } from 'hono/streaming';
import type { Explorer } from '../advise/explore.ts';
import { answerQuestion } from '../advise/explore-what-if.ts';
import { redact } from '../host/redact.ts';
import { InputError } from '../kernel/errors.ts';
import { HEADERS, refusal } from './guard.ts';
import type { Live } from './live.ts';
import type { Machines } from './machines.ts';
import type { PageFile } from './page.ts';
import type { SessionWatch } from './session-watch.ts';

/** A page's question is a few hundred bytes. */
const LONGEST_QUESTION = 64 * 1024;
/** Milliseconds between signs of life to a page that listens. */
const HEARTBEAT = 15_000;

export interface Served {
  page: ReadonlyMap<string, PageFile>;
  machines: Machines;
  live: Live;
  sessions: SessionWatch;
  /** A pci.ids for names of devices in files that are dropped on the page. */
  pciIds(): Uint8Array<ArrayBuffer> | undefined;
  /** Told of what should not have happened. */
  failed?(error: Error): void;
  /** The port it listens on. */
  port(): number;
}

export function makeApp({ page, machines, live, sessions, pciIds, port, failed }: Served): Hono {
  const app = new Hono();

  app.use(async (c, next) => {
    for (const [name, value] of Object.entries(HEADERS)) c.header(name, value);
    const asked = {
      host: c.req.header('host'),
      origin: c.req.header('origin'),
      site: c.req.header('sec-fetch-site'),
    };
    const why = refusal(asked, port());
    if (why !== undefined) return c.json({ problem: why }, 403);
    const whatIf = c.req.path.endsWith('/what-if');
    const method = c.req.method;
    if (method !== 'GET' && method !== 'HEAD' && !(method === 'POST' && whatIf))
      return c.json({ problem: 'this server only shows' }, 405);
    await next();
  });

  app.onError((error, c) => {
    for (const [name, value] of Object.entries(HEADERS)) c.header(name, value);
    if (error instanceof InputError) return c.json({ problem: error.message }, 400);
    failed?.(error);
    return c.json({ problem: 'the server failed at this; its terminal says more' }, 500);
  });

  app.get('/api/machines', (c) => fresh(c).json(machines.lines()));

  app.get('/api/machines/:id', (c) => withMachine(c, (explorer) => fresh(c).json(explorer.overview())));

  app.get('/api/machines/:id/device', (c) =>
    withMachine(c, (explorer) => fresh(c).json(explorer.device(c.req.query('name') ?? ''))),
  );

  app.get('/api/machines/:id/export', (c) =>
    withMachine(c, (explorer) => {
      const format = c.req.query('format') ?? '';
      const names = c.req.queries('device') ?? [];
      const style = c.req.query('iommufd') === '1' ? 'iommufd' : 'legacy';
      return fresh(c).json(explorer.export(format, names, { style }));
    }),
  );

  app.get('/api/machines/:id/snapshot', (c) =>
    withMachine(c, (explorer) => fresh(c).json(redact(explorer.snapshot))),
  );

  app.post('/api/machines/:id/what-if', bodyLimit({ maxSize: LONGEST_QUESTION, onError: tooLong }), (c) =>
    withMachine(c, async (explorer) => {
      const type = c.req.header('content-type') ?? '';
      if (!/^application\/json\b/.test(type)) return c.json({ problem: 'expects application/json' }, 415);
      let question: unknown;
      try {
        question = await c.req.json();
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        return c.json({ problem: 'broken JSON' }, 400);
      }
      return fresh(c).json(answerQuestion(explorer, question));
    }),
  );

  app.get('/api/pci.ids', (c) => {
    const bytes = pciIds();
    if (bytes === undefined) return c.json({ problem: 'this machine has no pci.ids' }, 404);
    return fresh(c).body(bytes, 200, { 'Content-Type': 'text/plain; charset=utf-8' });
  });

  app.get('/api/sessions', (c) => fresh(c).json(sessions.now()));

  app.get('/api/events', (c) =>
    streamSSE(c, async (stream) => {
      let woken: () => void = () => {};
      const queue: { event: string; data: string }[] = [];
      const tell = (event: string, told: unknown): void => {
        queue.push({ event, data: JSON.stringify(told) });
        woken();
      };
      const endEvents = live.listen((events) => tell('happened', events));
      const endSessions = sessions.listen((now) => tell('sessions', now));
      stream.onAbort(() => woken());
      try {
        await stream.writeSSE({ event: 'ready', data: '{}' });
        while (!stream.aborted) {
          const message = queue.shift();
          if (message !== undefined) {
            await stream.writeSSE(message);
            continue;
          }
          const beat = setTimeout(() => woken(), HEARTBEAT);
          await new Promise<void>((resolve) => {
            woken = resolve;
          });
          clearTimeout(beat);
          if (queue.length === 0 && !stream.aborted) await stream.writeSSE({ event: 'alive', data: '{}' });
        }
      } finally {
        endEvents();
        endSessions();
      }
    }),
  );

  app.get('*', (c) => {
    const file = page.get(c.req.path);
    if (file === undefined) return c.json({ problem: 'there is nothing of that name' }, 404);
    const packed = /\bgzip\b/.test(c.req.header('accept-encoding') ?? '');
    c.header('Content-Type', file.type);
    c.header('Vary', 'Accept-Encoding');
    // Names in assets/ have their content's hash in them.
    const kept = c.req.path.startsWith('/assets/') ? 'max-age=31536000, immutable' : 'no-cache';
    c.header('Cache-Control', kept);
    if (packed) c.header('Content-Encoding', 'gzip');
    return c.body(packed ? file.gzip : file.plain);
  });

  return app;

  async function withMachine(
    c: Request,
    answer: (explorer: Explorer) => Response | Promise<Response>,
  ): Promise<Response> {
    const id = c.req.param('id') ?? '';
    const explorer = /^\d{1,4}$/.test(id) ? await machines.explorer(Number(id)) : undefined;
    return explorer === undefined ? c.json({ problem: 'there is no such machine' }, 404) : answer(explorer);
  }

  function tooLong(c: Request): Response {
    return c.json({ problem: `longer than ${LONGEST_QUESTION} bytes` }, 413);
  }

  function fresh(c: Request): Request {
    c.header('Cache-Control', 'no-store');
    return c;
  }
}
