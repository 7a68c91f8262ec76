/** Starts programs for the scripts, with Node's own child processes: nothing is installed yet when they run. */
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { StepFailure } from './failure.mjs';

/** Folders that root's PATH may lack and that hold system programs all the same. */
const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/**
 * Runs a program to its end. Rejects with a StepFailure when it cannot start or does not exit with 0.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{cwd?: string, env?: Record<string, string>, output?: 'show' | 'capture', anyStatus?: boolean}} [options]
 *   `output`: pass it on to stderr (default), or keep it and show its end only on failure. `anyStatus`: do not reject.
 * @returns {Promise<{status: number, stdout: string, stderr: string}>}
 */
export function runProgram(program, args, options = {}) {
  const capture = options.output === 'capture';
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', capture ? 'pipe' : 2, capture ? 'pipe' : 2],
    });
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    child.on('error', (error) => {
      reject(new StepFailure(`start ${program}: ${error.message}`, `install ${program}`));
    });
    child.on('close', (code, signal) => {
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
 * Where a program lies, undefined when there is none; the system's own folders count even when PATH lacks them.
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
export function isExecutableFile(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (['ENOENT', 'EACCES', 'ENOTDIR', 'ELOOP'].includes(code)) return false;
    throw error;
  }
}
