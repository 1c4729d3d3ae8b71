/** Sessions of `ringfence run --trace`, to every page that listens. Looked at only while one does. */

import { readSessions, type SessionPicture } from '../guest/sessions.ts';

type Listener = (sessions: SessionPicture[]) => void;

/** Milliseconds between looks. */
const INTERVAL = 500;

export class SessionWatch {
  readonly #folder: string;
  readonly #interval: number;
  readonly #listeners = new Set<Listener>();
  #timer: NodeJS.Timeout | undefined;
  #told = '[]';

  constructor(folder: string, interval: number = INTERVAL) {
    this.#folder = folder;
    this.#interval = interval;
  }

  now(): SessionPicture[] {
    return readSessions(this.#folder);
  }

  /** @returns ends it */
  listen(listener: Listener): () => void {
    if (this.#listeners.size === 0) {
      this.#told = JSON.stringify(this.now());
      this.#timer = setInterval(() => this.#look(), this.#interval);
      this.#timer.unref();
    }
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) clearInterval(this.#timer);
    };
  }

  #look(): void {
    const sessions = this.now();
    const text = JSON.stringify(sessions);
    if (text === this.#told) return;
    this.#told = text;
    for (const listener of this.#listeners) listener(sessions);
  }
}
