/** One object for each directory that is made anew at every look: as long as its owner lives, it is the same one. */

const KEPT = new WeakMap<object, Map<string, object>>();

export function identityOf(owner: object, name: string): object {
  let names = KEPT.get(owner);
  if (names === undefined) {
    names = new Map();
    KEPT.set(owner, names);
  }
  let identity = names.get(name);
  if (identity === undefined) {
    identity = { name };
    names.set(name, identity);
  }
  return identity;
}
