/** The server on 127.0.0.1. */

import type { Server } from 'node:http';
import { serve } from '@hono/node-server';
import { InputError } from '../kernel/errors.ts';
import { makeApp, type Served } from './app.ts';

export interface Running {
  port: number;
  close(): Promise<void>;
}

/** The one address it listens on: other machines cannot reach it. */
export const ADDRESS = '127.0.0.1';

/** @param port 0: any that is free @throws InputError when the port is taken */
export function startServer(served: Omit<Served, 'port'>, port: number): Promise<Running> {
  return new Promise((resolve, reject) => {
    let listening = port;
    const app = makeApp({ ...served, port: () => listening });
    const server = serve({ fetch: app.fetch, hostname: ADDRESS, port }, (info) => {
      listening = info.port;
      resolve({ port: info.port, close });
    }) as Server;
    server.on('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'is taken; name another' : `cannot be used (${error.code})`;
      reject(new InputError('--port', `${port} ${why}`));
    });

    function close(): Promise<void> {
      served.live.stop();
      return new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      });
    }
  });
}
