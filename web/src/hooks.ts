/** What several parts of the page wait for. */

import { useEffect, useRef, useState } from 'preact/hooks';

export interface Answer<T> {
  value?: T;
  problem?: string;
  waiting: boolean;
}

/**
 * The answer to `ask`, asked anew when `keys` change.
 * @param subject what it is about: while that is the same, the old answer stays until the new one is there. Absent: it
 *   goes at once
 */
export function useAnswer<T>(
  ask: () => Promise<T> | undefined,
  keys: readonly unknown[],
  subject?: unknown,
): Answer<T> {
  const [answer, setAnswer] = useState<Answer<T> & { of?: readonly unknown[] }>({ waiting: true });
  const about = useRef(subject);
  useEffect(() => {
    let current = true;
    const stays = subject !== undefined && about.current === subject;
    about.current = subject;
    const asked = ask();
    if (asked === undefined) {
      setAnswer({ waiting: false, of: keys });
      return;
    }
    setAnswer((old) => (stays ? { ...old, waiting: true, of: keys } : { waiting: true, of: keys }));
    asked.then(
      (value) => current && setAnswer({ value, waiting: false, of: keys }),
      (error: Error) => current && setAnswer({ problem: error.message, waiting: false, of: keys }),
    );
    return () => {
      current = false;
    };
  }, keys);
  // Between a change and its effect the answer is to what was asked before.
  const fresh = answer.of?.every((key, index) => Object.is(key, keys[index])) === true;
  return fresh || (subject !== undefined && about.current === subject) ? answer : { waiting: true };
}
