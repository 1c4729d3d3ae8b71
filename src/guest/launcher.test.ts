import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { noCompiler } from '../../test/guest/support/compile.ts';
import { compileLauncher, findLauncher, launcherName } from './launcher.ts';

const scratch = mkdtempSync(join(tmpdir(), 'ringfence-launcher-'));
afterAll(() => rmSync(scratch, { recursive: true }));

describe.skipIf(noCompiler !== undefined)(
  `the launcher${noCompiler === undefined ? '' : ` (${noCompiler})`}`,
  () => {
    test('is compiled into the cache when first needed, and found there from then on', () => {
      const env = { XDG_CACHE_HOME: join(scratch, 'cache') };
      const { path, lack } = findLauncher(env);
      expect(lack).toBeUndefined();
      expect(path).toMatch(/cache\/ringfence\/ringfence-exec-[a-z0-9]+-[0-9a-f]{8}$/);
      expect(findLauncher(env)).toEqual({ path, lack: undefined });
      const { status, stdout } = spawnSync(path!, ['/', '3b8e', 'sh', '-c', 'echo runs; exit 3']);
      expect([status, String(stdout)]).toEqual([3, 'runs\n']);
    });

    test('a cache that cannot be written is named', () => {
      writeFileSync(join(scratch, 'file'), '');
      const { path, lack } = findLauncher({ XDG_CACHE_HOME: join(scratch, 'file') });
      expect(path).toBeUndefined();
      expect(lack).toMatch(/cannot be made \(ENOTDIR\); set XDG_CACHE_HOME/);
    });

    test('a source that does not compile leaves nothing behind, and its name tells it from others', () => {
      const [one, two] = [join(scratch, 'one.c'), join(scratch, 'two.c')];
      writeFileSync(one, 'int main(void) { return wrong; }');
      writeFileSync(two, 'int main(void) { return 0; }');
      expect(launcherName(one)).not.toBe(launcherName(two));
      expect(compileLauncher(one, join(scratch, 'one'))).toMatch(/cannot compile it/);
      expect(existsSync(join(scratch, 'one'))).toBe(false);
      expect(compileLauncher(two, join(scratch, 'two'))).toBeUndefined();
      expect(existsSync(join(scratch, 'two'))).toBe(true);
    });
  },
);
