/** Which versions of runc have the required security fixes. */
import { StepFailure } from './failure.mjs';
import { runProgram } from './run-program.mjs';

/** Container escapes that are fixed in 1.2.8, 1.3.3 and all later versions. */
export const runcHoles = 'CVE-2025-31133, CVE-2025-52565, CVE-2025-52881';

/**
 * The version that a runc reports; undefined if it cannot run.
 * @param {string} runc path of the program
 * @returns {Promise<string | undefined>} e.g. `1.3.6+ds1`
 */
export async function readRuncVersion(runc) {
  try {
    const { stdout } = await runProgram(runc, ['--version'], { output: 'capture' });
    return /^runc version (\S+)/m.exec(stdout)?.[1];
  } catch (error) {
    if (error instanceof StepFailure) return undefined;
    throw error;
  }
}

/** @param {string} version */
export function isPatchedRunc(version) {
  const match = /^(\d+)\.(\d+)\.(\d+)(-rc\S*)?/.exec(version);
  if (match === null) return false;
  const [major = 0, minor = 0, patch = 0] = match.slice(1, 4).map(Number);
  if (major !== 1) return major > 1;
  if (minor === 2) return patch >= 8;
  if (minor === 3) return patch >= 3;
  // The first two release candidates of 1.4.0 were published before the fixes.
  if (minor === 4 && patch === 0 && match[4] !== undefined)
    return /^-rc\.?([3-9]|\d\d)/.test(match[4]);
  return minor > 3;
}
