/** Installs the Debian packages that the host lacks; changes nothing if it cannot install all of them. */
import { readdirSync, readFileSync } from 'node:fs';
import { StepFailure } from './failure.mjs';
import { describeNeed, findMissing } from './host-needs.mjs';
import { note } from './report-step.mjs';
import { findProgram, runProgram } from './run-program.mjs';
import { withoutServices } from './without-services.mjs';

const aptEnvironment = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };
// A fresh machine often runs its first upgrade: wait for its lock instead of failing.
const aptOptions = ['-q', '-o', 'DPkg::Lock::Timeout=300'];

/**
 * Rejects with a StepFailure that names every missing tool and its package if they cannot be installed.
 * @param {readonly import('./host-needs.mjs').Need[]} needs
 * @returns {Promise<string>} 'installed' or 'nothing to install'
 */
export async function ensureHostPackages(needs) {
  const missing = findMissing(needs);
  if (missing.length === 0) return 'nothing to install';
  const obstacle = findInstallObstacle();
  if (obstacle !== undefined) throw missingTools(missing, obstacle);
  const packages = [...new Set(missing.map((need) => need.package))];
  note(`installing ${packages.join(' ')}`);
  try {
    const services = missing.flatMap((need) => need.services ?? []);
    await withoutServices(services, () => installPackages(packages));
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error;
    throw missingTools(missing, error.message);
  }
  const stillMissing = findMissing(needs);
  if (stillMissing.length > 0) throw missingTools(stillMissing, 'its package does not contain it');
  return 'installed';
}

/**
 * Why this host cannot install Debian packages; undefined if it can.
 * @returns {string | undefined}
 */
export function findInstallObstacle() {
  if (findProgram('apt-get') === undefined || !isDebianFamily())
    return 'this is not a Debian system';
  if (process.getuid?.() !== 0) return 'this is not root';
  return undefined;
}

/** The fields of /etc/os-release; empty if the file does not exist. */
export function readOsRelease() {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const line of readLines('/etc/os-release')) {
    const match = /^([A-Z_]+)=["']?(.*?)["']?$/.exec(line);
    if (match?.[1] !== undefined) fields[match[1]] = match[2] ?? '';
  }
  return fields;
}

function isDebianFamily() {
  const { ID = '', ID_LIKE = '' } = readOsRelease();
  return [ID, ...ID_LIKE.split(' ')].includes('debian');
}

/** @param {string} file */
function readLines(file) {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** @param {readonly string[]} packages */
async function installPackages(packages) {
  const install = [...aptOptions, 'install', '-y', '--no-install-recommends', ...packages];
  const run = () => runProgram('apt-get', install, { env: aptEnvironment, output: 'capture' });
  if (!hasPackageLists()) {
    await updatePackageLists();
    await run();
    return;
  }
  try {
    await run();
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error;
    // Old lists name package versions that the mirror no longer has.
    note('installation with the present package lists failed; fetching new lists');
    await updatePackageLists();
    await run();
  }
}

function hasPackageLists() {
  return readdirSync('/var/lib/apt/lists').some((name) => /_Packages(\.\w+)?$/.test(name));
}

async function updatePackageLists() {
  note('apt-get update');
  await runProgram('apt-get', [...aptOptions, 'update'], {
    env: aptEnvironment,
    output: 'capture',
  });
}

/**
 * @param {readonly import('./host-needs.mjs').Need[]} missing
 * @param {string} why
 */
function missingTools(missing, why) {
  const packages = [...new Set(missing.map((need) => need.package))].join(' ');
  return new StepFailure(
    `missing on this host: ${missing.map(describeNeed).join(', ')}; not installed: ${why}`,
    `as root, run apt-get install --no-install-recommends ${packages}`,
  );
}
