/** Ends a quick start that was not called by root. */
import { StepFailure } from './failure.mjs';
import { ensureHostPackages } from './host-packages.mjs';

/**
 * @param {string} script name of the npm script
 * @param {readonly import('./host-needs.mjs').Need[]} needs reported first if they are missing: installing them needs root as well
 */
export async function requireRoot(script, needs) {
  if (process.getuid?.() === 0) return;
  await ensureHostPackages(needs);
  throw new StepFailure(`${script}: not root`, `tasks need root: sudo npm run ${script}`);
}
