import { render } from 'preact';
import { App } from './app.tsx';
import { model, type Source } from './source.ts';
import './style.css';

void start();

async function start(): Promise<void> {
  const place = document.getElementById('page')!;
  render(<App brought={await broughtAlong()} />, place);
}

/** The machine that stands in the page itself, where it was written by `export --format html`. */
async function broughtAlong(): Promise<Source | undefined> {
  const script = document.getElementById('ringfence-machine');
  if (script === null) return undefined;
  return (await model()).openText(script.dataset.name ?? 'this machine', script.textContent ?? '');
}
