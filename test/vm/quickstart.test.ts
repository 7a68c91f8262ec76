/** The quickstart on a machine with built stacks. Requires: a guest that can build; it has no network. */
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { scaled } from '../support/timing/time-scale.ts';

it('npm run quickstart ends by running a task', { timeout: scaled(120_000) }, () => {
  const shown = execFileSync(process.execPath, ['scripts/quickstart.mjs'], { encoding: 'utf8' });
  expect(shown).toContain('Hello, world, from task ');
  expect(shown).toMatch(/"verdict": ?"succeeded"/);
});
