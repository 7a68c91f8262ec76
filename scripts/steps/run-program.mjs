/** Starts programs for the scripts with node:child_process: npm packages are not installed yet. */
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { StepFailure } from './failure.mjs';

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
/** @type {string | undefined} */
let stoppedBy;

/**
 * Makes a signal end the running programs instead of this process: every step then fails and cleans up.
 * @param {(signal: NodeJS.Signals) => void} onStop
 */
export function stopProgramsOnSignals(onStop) {
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.on(signal, () => {
      stopPrograms(signal, signal);
      onStop(signal);
    });
  }
}

/**
 * Runs `work`; after `limitMs` its programs are ended, and no more are started.
 * @template T
 * @param {number} limitMs
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withTimeLimit(limitMs, work) {
  const why = `its time limit of ${limitMs / 60_000} minutes`;
  const timer = setTimeout(() => stopPrograms(why, 'SIGTERM'), limitMs);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
    if (stoppedBy === why) stoppedBy = undefined;
  }
}

/**
 * @param {string} why
 * @param {NodeJS.Signals} signal
 */
function stopPrograms(why, signal) {
  stoppedBy = why;
  for (const child of running) child.kill(signal);
}

/** Whether a signal or a time limit has asked this process to stop. */
export const isStopping = () => stoppedBy !== undefined;

/** The signal or limit. */
export const whyStopping = () => stoppedBy;

/** Folders of system programs that root's PATH may lack. */
const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/**
 * Runs a program. Rejects with a StepFailure if it cannot start or does not exit with 0.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{cwd?: string, env?: Record<string, string>, output?: 'show' | 'inherit' | 'capture', anyStatus?: boolean, onStart?: (child:
 * import('node:child_process').ChildProcess) => void}} [options] `output`: all to stderr (default), each to its own stream, or kept and its
 * end shown only on failure. `anyStatus`: an exit status other than 0 does not reject.
 * @returns {Promise<{status: number, stdout: string, stderr: string}>}
 */
export function runProgram(program, args, options = {}) {
  const capture = options.output === 'capture';
  const output = capture ? 'pipe' : 2;
  return new Promise((resolve, reject) => {
    if (stoppedBy !== undefined) {
      reject(new StepFailure(`not started: ${program}`, `stopped by ${stoppedBy}`));
      return;
    }
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', options.output === 'inherit' ? 1 : output, output],
    });
    running.add(child);
    options.onStart?.(child);
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    child.on('error', (error) => {
      running.delete(child);
      reject(new StepFailure(`start ${program}: ${error.message}`, `install ${program}`));
    });
    child.on('close', (code, signal) => {
      running.delete(child);
      if (code === 0 || (options.anyStatus && code !== null)) {
        resolve({ status: code, stdout, stderr });
        return;
      }
      const tail = (stderr.trim() || stdout.trim()).split('\n').slice(-15).join('\n  ');
      const how = signal === null ? `exit status ${code}` : `ended by ${signal}`;
      const shown = tail === '' ? '' : `\n  ${tail}`;
      reject(
        new StepFailure(`${program} ${args.join(' ')}: ${how}${shown}`, 'see its output above'),
      );
    });
  });
}

/**
 * The path of a program; undefined if there is none. System folders count even if PATH lacks them.
 * @param {string} name
 * @returns {string | undefined}
 */
export function findProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(':'), ...systemFolders];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => `${folder}/${name}`)
    .find(isExecutableFile);
}

/** @param {string} path */
function isExecutableFile(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (['ENOENT', 'EACCES', 'ENOTDIR', 'ELOOP'].includes(code)) return false;
    throw error;
  }
}
