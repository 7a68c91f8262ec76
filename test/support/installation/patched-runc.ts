/** The runc that the set-up brings, for tests whose installation has a root folder of its own. */
import { existsSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type Layout, layoutFrom, runtimesDir } from '../../../src/core/layout.ts';

/**
 * Links it into a test's installation; without it (a host set up with Debian's own) the tests run on that.
 * STACKSHIM_TEST_RUNTIME is the path of another runtime that is to be found under its name: crun's, for one.
 */
export function linkPatchedRunc(layout: Layout): void {
  const installed = join(runtimesDir(layoutFrom({}, process.env)), 'runc');
  const runtime = process.env['STACKSHIM_TEST_RUNTIME'] ?? installed;
  if (!existsSync(runtime)) return;
  mkdirSync(runtimesDir(layout), { recursive: true });
  symlinkSync(realpathSync(runtime), join(runtimesDir(layout), 'runc'));
}
