/** Installs the npm packages of package-lock.json if node_modules does not match it. */
import { existsSync, readFileSync } from 'node:fs';
import { projectRoot } from './paths.mjs';
import { runProgram } from './run-program.mjs';

/** @returns {Promise<string>} 'installed' or 'up to date' */
export async function ensureNpmPackages() {
  if (matchesLockfile(projectRoot)) return 'up to date';
  await runProgram('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: projectRoot,
  });
  return 'installed';
}

/**
 * Whether node_modules contains what package-lock.json names; optional packages may be those of other platforms. npm writes its list of
 * installed packages last, so an interrupted installation has none.
 * @param {string} root
 */
export function matchesLockfile(root) {
  const installedFile = `${root}/node_modules/.package-lock.json`;
  if (!existsSync(installedFile)) return false;
  const wanted = JSON.parse(readFileSync(`${root}/package-lock.json`, 'utf8')).packages;
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages;
  return Object.entries(wanted)
    .filter(([path]) => path !== '')
    .every(([path, entry]) =>
      installed[path] === undefined
        ? entry.optional === true
        : installed[path].version === entry.version,
    );
}
