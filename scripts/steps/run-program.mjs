/** Starts programs for the scripts with node:child_process: npm packages are not installed yet. */
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
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

/** Where programs are looked up; the caller's PATH is ignored. npm comes with the Node that runs this script. */
const programFolders = [
  dirname(process.execPath),
  ...['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'],
];

/** What programs get of the caller's environment, apart from the variables with one of {@link passedPrefixes}. */
const passedVariables = [
  ...['USER', 'LOGNAME', 'LANG', 'LC_ALL', 'TZ', 'TERM', 'COLORTERM', 'COLUMNS', 'FORCE_COLOR'],
  ...['NO_COLOR', 'CI', 'UPDATE_DOCS'],
  ...['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'],
  // Certificates of a proxy or mirror: texts, from which no program loads code.
  ...['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'],
  // npm has settings that name programs to run; these only say where packages come from.
  ...['registry', 'cafile', 'proxy', 'https_proxy', 'noproxy'].flatMap((name) => [
    `npm_config_${name}`,
    `NPM_CONFIG_${name.toUpperCase()}`,
  ]),
];
const passedPrefixes = ['STACKSHIM_'];

/** The environment of programs: nothing of the caller's that is not named above. */
function programEnvironment() {
  const passed = Object.entries(process.env).filter(
    ([name]) =>
      passedVariables.includes(name) || passedPrefixes.some((prefix) => name.startsWith(prefix)),
  );
  return { ...Object.fromEntries(passed), PATH: programFolders.join(':'), HOME: homeFolder() };
}

/** Root's own: the variable may name the folder, and so the settings of npm, of the user who became root. */
function homeFolder() {
  return process.getuid?.() === 0 ? userInfo().homedir : process.env.HOME;
}

/**
 * Runs a program. Rejects with a StepFailure if it cannot start or does not exit with 0.
 * @param {string} program a path, or a name that {@link findProgram} finds
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
    const path = program.includes('/') ? program : findProgram(program);
    if (path === undefined) {
      reject(new StepFailure(`start ${program}: not installed`, `install ${program}`));
      return;
    }
    const child = spawn(path, args, {
      cwd: options.cwd,
      env: { ...programEnvironment(), ...options.env },
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
 * Starts a program that goes on in the background, in a session of its own: no signal of the terminal reaches it. When this process dies,
 * it gets TERM. The caller ends it.
 * @param {readonly string[]} command a path or a name that {@link findProgram} finds, and arguments
 * @param {{env?: Record<string, string>, output: number, user?: string}} options `output`: a descriptor for all that it prints
 * @returns {import('node:child_process').ChildProcess}
 */
export function startInBackground(command, { env, output, user }) {
  const [name = '', ...args] = command;
  const program = name.includes('/') ? name : findProgram(name);
  const setpriv = findProgram('setpriv');
  if (program === undefined || setpriv === undefined)
    throw new StepFailure(`start ${name}: not installed`, `install ${name} and util-linux`);
  const as = user === undefined ? [] : [`--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
  return spawn(setpriv, [...as, '--pdeathsig=TERM', '--', program, ...args], {
    cwd: '/',
    env: { ...programEnvironment(), ...env },
    stdio: ['ignore', output, output],
    detached: true,
  });
}

/**
 * The path of a program; undefined if there is none in {@link programFolders}.
 * @param {string} name
 * @returns {string | undefined}
 */
export function findProgram(name) {
  return programFolders.map((folder) => `${folder}/${name}`).find(isExecutableFile);
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
