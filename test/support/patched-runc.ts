/** The runc that the set-up brings, for tests whose installation has a root folder of its own. */
import { existsSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type Layout, layoutFrom, runtimesDir } from '../../src/core/layout.ts';

/** Links it into a test's installation; without it (a host set up with Debian's own) the tests run on that. */
export function linkPatchedRunc(layout: Layout): void {
  const installed = join(runtimesDir(layoutFrom({}, process.env)), 'runc');
  if (!existsSync(installed)) return;
  mkdirSync(runtimesDir(layout), { recursive: true });
  symlinkSync(realpathSync(installed), join(runtimesDir(layout), 'runc'));
}
