/** Builds one stack with the executable, and reports sizes, times, and whether a second build is identical. */
import { StepFailure } from './failure.mjs';
import { runProgram } from './run-program.mjs';

/**
 * @typedef {object} BuiltStack
 * @property {string} name
 * @property {number} revision
 * @property {boolean} unchanged whether the store already had it from the same files
 * @property {number} ownBytes
 * @property {number} sharedBytes
 * @property {number} seconds
 * @property {number | undefined} smokeMs
 * @property {readonly string[]} layers
 */

/**
 * @param {import('./stack-folders.mjs').StackFolder} stack
 * @param {{executable: string, env: Record<string, string>, always?: boolean}} options `always`: also when nothing changed
 * @returns {Promise<BuiltStack>}
 */
export async function buildStack(stack, { executable, env, always = false }) {
  const startedAt = Date.now();
  const condition = always ? [] : ['--if-changed'];
  const built = await runBuild(executable, [stack.path, ...condition, '--json'], env);
  const seconds = (Date.now() - startedAt) / 1000;
  const { stdout } = await runProgram(executable, ['stack', 'show', stack.name, '--json'], {
    env,
    output: 'capture',
  });
  const shown = JSON.parse(stdout);
  return {
    name: stack.name,
    revision: built.revision,
    unchanged: built.status === 'unchanged',
    ownBytes: shown.ownBytes,
    sharedBytes: shown.sharedBytes,
    seconds,
    smokeMs: built.smoke?.usage.wallMs ?? undefined,
    layers: shown.layers.map((/** @type {{id: string}} */ { id }) => id),
  };
}

/**
 * @param {string} executable
 * @param {readonly string[]} args
 * @param {Record<string, string>} env
 */
async function runBuild(executable, args, env) {
  const options = { env, output: /** @type {const} */ ('capture'), anyStatus: true };
  const { status, stdout, stderr } = await runProgram(
    executable,
    ['stack', 'build', ...args],
    options,
  );
  if (status === 0) return JSON.parse(stdout);
  const vanished = findVanishedPackages(stderr);
  if (vanished.length > 0) {
    throw new StepFailure(
      `the archive no longer has ${vanished.join(', ')}`,
      'name other packages in the Dockerfile',
    );
  }
  throw new StepFailure(stderr.trim().split('\n').slice(-12).join('\n    '), '');
}

/**
 * Names of packages that apt did not find, or that are listed but could not be fetched.
 * @param {string} output
 */
export function findVanishedPackages(output) {
  const says = [
    /E: Unable to locate package (\S+)/g,
    /E: Package '([^']+)' has no installation candidate/g,
    /E: Failed to fetch \S+\/([^/_]+)_\S+\.deb\s+404/g,
  ];
  const names = says.flatMap((pattern) => [...output.matchAll(pattern)].map((match) => match[1]));
  return [...new Set(names.filter((name) => name !== undefined))];
}

/**
 * Builds a second time. Returns the files that differ; empty if the layers are the same.
 * @param {import('./stack-folders.mjs').StackFolder} stack
 * @param {BuiltStack} before
 * @param {{executable: string, env: Record<string, string>}} options
 * @returns {Promise<readonly string[]>}
 */
export async function findDifferences(stack, before, options) {
  const after = await buildStack(stack, { ...options, always: true });
  if (JSON.stringify(after.layers) === JSON.stringify(before.layers)) return [];
  const revisions = [String(before.revision), String(after.revision)];
  const { stdout } = await runProgram(
    options.executable,
    ['stack', 'diff', stack.name, ...revisions, '--json'],
    { env: options.env, output: 'capture' },
  );
  /** @type {{files: {path: string}[]}} */
  const { files } = JSON.parse(stdout);
  // A comparison of files does not show owners and times.
  return files.length === 0 ? ['owners or times of files'] : files.map(({ path }) => path);
}
