/**
 * Installs a patched runc below the root folder: `runtimes/runc-<version>/` and the link `runtimes/runc` to its program.
 * apt fetches and verifies it with a configuration of its own: the host's sources and packages do not change.
 */
import { existsSync } from 'node:fs';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { findMirror, formatSource } from './apt-sources.mjs';
import { StepFailure } from './failure.mjs';
import { runcNeed } from './host-needs.mjs';
import { ensureHostPackages, findInstallObstacle, readOsRelease } from './host-packages.mjs';
import { installationRoot } from './paths.mjs';
import { note } from './report-step.mjs';
import { findProgram, isStopping, runProgram } from './run-program.mjs';
import { isPatchedRunc, readRuncVersion, runcHoles } from './runc-version.mjs';

/** The Debian release that has a patched runc. */
const suite = 'forky';
const runtimes = `${installationRoot}/runtimes`;

/**
 * Uses the host's own runc, with a warning, if no patched one is available.
 * @returns {Promise<string>} what was done, for the report
 */
export async function ensurePatchedRunc() {
  const brought = await readPatchedVersion(`${runtimes}/runc`);
  if (brought !== undefined) return `runc ${brought} is there`;
  const own = await readPatchedVersion(findProgram('runc'));
  if (own !== undefined) return `the host's own runc ${own} is patched`;
  try {
    return `runc ${await bringRunc()} brought to ${runtimes}`;
  } catch (error) {
    if (!(error instanceof StepFailure) || isStopping()) throw error;
    note(`no patched runc: ${error.message}`);
  }
  await ensureHostPackages([runcNeed]);
  const version = await readRuncVersion(findProgram('runc') ?? 'runc');
  console.error(
    `    WARNING: tasks will run with the host's runc ${version}, which lacks the fixes for ${runcHoles}:`,
  );
  console.error(
    '    a hostile task may escape. Install runc 1.3.3 or later before you run untrusted code.',
  );
  return `the host's runc ${version}, NOT patched`;
}

/**
 * @param {string | undefined} runc
 * @returns {Promise<string | undefined>} its version when it runs and is patched
 */
async function readPatchedVersion(runc) {
  if (runc === undefined || !existsSync(runc)) return undefined;
  const version = await readRuncVersion(runc);
  return version !== undefined && isPatchedRunc(version) ? version : undefined;
}

async function bringRunc() {
  const obstacle = findInstallObstacle();
  if (obstacle !== undefined) throw new StepFailure(obstacle, '');
  const codename = readOsRelease()['VERSION_CODENAME'] ?? '';
  const mirror = findMirror(codename);
  if (mirror === undefined) {
    throw new StepFailure(`/etc/apt has no source with a mirror for '${codename}'`, '');
  }
  const work = await mkdtemp(`${tmpdir()}/stackshim-runc-`);
  try {
    const debFile = await downloadRunc(work, formatSource(mirror, suite));
    return await unpackRunc(debFile);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * @param {string} work an empty folder
 * @param {string} source the one stanza apt is to use
 * @returns {Promise<string>} path of the .deb
 */
async function downloadRunc(work, source) {
  const folders = ['sources', 'state/lists/partial', 'cache/archives/partial', 'download'];
  await Promise.all(folders.map((folder) => mkdir(`${work}/${folder}`, { recursive: true })));
  await writeFile(`${work}/sources/runc.sources`, source);
  // apt downloads as its own user if that exists: the user must reach the folder and write to it.
  await chmod(work, 0o755);
  const aptUser = await readUserId('_apt');
  if (aptUser !== undefined) await chown(`${work}/download`, aptUser, 0);
  const options = Object.entries({
    'Dir::State': `${work}/state`,
    'Dir::Cache': `${work}/cache`,
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': `${work}/sources`,
    'Acquire::Languages': 'none',
    'APT::Update::Error-Mode': 'any',
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const apt = (/** @type {string} */ command, /** @type {string[]} */ ...args) =>
    runProgram('apt-get', ['-q', ...options, command, ...args], {
      cwd: `${work}/download`,
      output: 'capture',
    });
  note(`fetching the runc of ${suite} from ${source.match(/URIs: (.*)/)?.[1]}`);
  await apt('update');
  await apt('download', 'runc');
  const deb = (await readdir(`${work}/download`)).find((name) => name.endsWith('.deb'));
  if (deb === undefined) throw new StepFailure('apt-get download runc: no file', '');
  return `${work}/download/${deb}`;
}

/** @param {string} name */
async function readUserId(name) {
  const line = (await readFile('/etc/passwd', 'utf8'))
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  return line === undefined ? undefined : Number(line.split(':')[2]);
}

/**
 * Unpacks under a temporary name and checks that the program runs here before a link names it.
 * @param {string} debFile
 */
async function unpackRunc(debFile) {
  await requireLibc(debFile);
  const version = (await readField(debFile, 'Version')).replace(/^\d+:/, '');
  await mkdir(runtimes, { recursive: true });
  const unpacked = await mkdtemp(`${runtimes}/.unpack-`);
  try {
    await runProgram('dpkg-deb', ['-x', debFile, unpacked], { output: 'capture' });
    const runs = await readPatchedVersion(`${unpacked}/usr/sbin/runc`);
    if (runs === undefined) {
      throw new StepFailure(`runc ${version} of ${suite} does not run here or is not patched`, '');
    }
    const target = `runc-${version}`;
    await rm(`${runtimes}/${target}`, { recursive: true, force: true });
    await chmod(unpacked, 0o755);
    await rename(unpacked, `${runtimes}/${target}`);
    const link = `${runtimes}/.runc.${process.pid}`;
    await symlink(`${target}/usr/sbin/runc`, link);
    await rename(link, `${runtimes}/runc`);
    return version;
  } finally {
    await rm(unpacked, { recursive: true, force: true });
  }
}

/** @param {string} debFile */
async function requireLibc(debFile) {
  const wanted = /libc6 \(>= ([^)]+)\)/.exec(await readField(debFile, 'Depends'))?.[1];
  if (wanted === undefined) return;
  const query = await runProgram('dpkg-query', ['-W', 'libc6'], { output: 'capture' });
  const installed = query.stdout.trim().split('\t')[1] ?? '';
  const compare = ['--compare-versions', installed, 'ge', wanted];
  const { status } = await runProgram('dpkg', compare, { output: 'capture', anyStatus: true });
  if (status !== 0) {
    throw new StepFailure(
      `the runc of ${suite} needs libc6 ${wanted}; this host has ${installed}`,
      '',
    );
  }
}

/**
 * @param {string} debFile
 * @param {string} field
 */
async function readField(debFile, field) {
  const { stdout } = await runProgram('dpkg-deb', ['-f', debFile, field], { output: 'capture' });
  return stdout.trim();
}
