/** The runc that the set-up installs, for tests with their own root folder. */
import { existsSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type Layout, layoutFrom, runtimesDir } from '../../../src/core/layout.ts';

/**
 * Links that runc into a test's installation; without it (on a host set up with Debian's) the tests use Debian's.
 * STACKSHIM_TEST_RUNTIME is the path of another runtime to use under the name runc, for example crun.
 */
export function linkPatchedRunc(layout: Layout): void {
  const installed = join(runtimesDir(layoutFrom({}, process.env)), 'runc');
  const runtime = process.env['STACKSHIM_TEST_RUNTIME'] ?? installed;
  if (!existsSync(runtime)) return;
  mkdirSync(runtimesDir(layout), { recursive: true });
  symlinkSync(realpathSync(runtime), join(runtimesDir(layout), 'runc'));
}
