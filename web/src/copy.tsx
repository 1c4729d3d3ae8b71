import { useState } from 'preact/hooks';

/** A text to take along: shown, and copied by a button that says when it did. */
export function Copyable({ label, text }: { label: string; text: string }) {
  const [done, setDone] = useState(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      setTimeout(() => setDone(false), 2000);
    } catch {
      setDone(false);
    }
  };
  return (
    <div class="copyable">
      <button type="button" onClick={copy}>
        {done ? 'Copied' : `Copy ${label}`}
      </button>
      <textarea
        readOnly
        aria-label={label}
        rows={Math.min(12, text.split('\n').length)}
        value={text}
        spellcheck={false}
      />
    </div>
  );
}
