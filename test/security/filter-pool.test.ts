/** The count of filters in the kernel's pool does not include those of an earlier probe. Requires: root, gcc. */
import { mkdtempSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compileProbes } from '../support/programs/probe-image.ts';
import { watchProgram } from '../support/programs/watched-program.ts';
import { countLargeFilters, FEW, largeFiltersAreGone } from './support/filter-pool.ts';

const folder = mkdtempSync('/var/tmp/stackshim-filters-');
const program = `${folder}/probe`;
beforeAll(() => compileProbes(program));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs in a pid namespace, so that its processes end with it. */
const nestFilters = () =>
  watchProgram([
    ...['unshare', '--pid', '--fork', '--kill-child', '--'],
    ...[program, 'nest-filters', '100', 'seccomp'],
  ]);

it('counts the programs in the pool, and waits for unused ones to be freed', async () => {
  for (let times = 0; times < 3; times += 1) {
    await largeFiltersAreGone();
    const nested = nestFilters();
    try {
      await nested.tried;
      // Other programs may load or free filters meanwhile.
      expect(countLargeFilters()).toBeGreaterThanOrEqual(200 - FEW);
      expect(countLargeFilters()).toBeLessThanOrEqual(200 + 2 * FEW);
    } finally {
      nested.signal('SIGKILL');
      await nested.ended;
    }
  }
  await largeFiltersAreGone();
  expect(countLargeFilters()).toBeLessThan(100);
});
