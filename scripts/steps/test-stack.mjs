/** Runs a stack's test program (test/stacks/) as a task and checks its output. */
import { existsSync } from 'node:fs';
import { StepFailure } from './failure.mjs';
import { projectRoot } from './paths.mjs';
import { runProgram } from './run-program.mjs';

const TEXT = 'Zürich 東京 🚀';
const NUMBERS = '30 4 8';

/** The expected values of the payload, the time in New York and each program's arithmetic. */
const EXPECTED = {
  text: TEXT,
  length: 11,
  sorted: [4, 8, 30],
  sum: 42,
  native: 42,
  time: '2024-07-01 08:00',
  refused: true,
};

const MOST_LINES = 12;

const LIMITS = { memoryBytes: 512 * 1024 ** 2, cpus: 1 };

/** test/stacks/python tests `python-3.13`: the versions of a language share a program. */
const toLanguage = (/** @type {string} */ stack) => stack.replace(/-[\d.]+$/, '');

/** @param {string} stack */
export const programFolder = (stack) => `${projectRoot}/test/stacks/${toLanguage(stack)}`;

/**
 * @param {string} stack a stack that is current in the installation that `env` names
 * @param {{executable: string, env: Record<string, string>, tls: import('./tls-server.mjs').TlsServer}} options
 * @returns {Promise<Record<string, unknown>>} what the program printed
 */
export async function testStack(stack, { executable, env, tls }) {
  const folder = programFolder(stack);
  if (!existsSync(`${folder}/run`)) {
    throw new StepFailure(`test ${stack}: no test program`, `write ${folder}/run`);
  }
  const inputs = ['--code', folder, '--payload', `${TEXT}\n${NUMBERS}\n`];
  const authority = `type=bind,source=${tls.caFile},target=/run/test-ca.pem,readonly`;
  const network = ['--network', 'host', '--mount', authority];
  const variables = {
    TEST_CA: '/run/test-ca.pem',
    TEST_URL: tls.url,
    TEST_PORT: String(tls.port),
    TEST_PIN: tls.pin,
  };
  const given = Object.entries(variables).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
  const limits = ['--memory', '512m', '--cpus', String(LIMITS.cpus), '--timeout', '300s'];
  const run = ['run', ...limits, ...network, ...given, ...inputs];
  const ended = await runProgram(executable, [...run, stack, 'sh', '/task/run'], {
    env,
    output: 'capture',
    anyStatus: true,
  });
  const { status, stdout, stderr } = ended;
  if (status !== 0) {
    const tail = stderr.trim().split('\n').slice(-MOST_LINES).join('\n    ');
    throw new StepFailure(`test ${stack}: exit status ${status}\n    ${tail}`, folder);
  }
  const printed = parse(stack, stdout);
  const problems = judge(stack, printed, tls.token);
  if (problems.length > 0) {
    throw new StepFailure(
      `test ${stack}: ${problems.join('; ')}`,
      `see the test program in ${folder}`,
    );
  }
  return printed;
}

/**
 * Runs the stack's default command with empty standard input: an interpreter reads the end of input and exits.
 * @param {string} stack
 * @param {{executable: string, env: Record<string, string>}} options
 */
export async function testDefaultCommand(stack, options) {
  await runToEnd(`run ${stack} without a command`, [stack], options);
}

/**
 * Checks the shared libraries of each program and library in the stack.
 * @param {string} stack
 * @param {{executable: string, env: Record<string, string>}} options
 */
export async function testPrograms(stack, options) {
  const folder = `${projectRoot}/test/stacks/every-stack`;
  const args = ['--code', folder, stack, 'sh', '/task/programs'];
  await runToEnd(`link the programs of ${stack}`, args, options);
}

/**
 * Loads the language's whole standard library, or uses all tools of the stack, with the program `library` beside the others.
 * @param {string} stack
 * @param {{executable: string, env: Record<string, string>}} options
 */
export async function testLibrary(stack, options) {
  const args = ['--memory', '1g', '--code', programFolder(stack), stack, 'sh', '/task/library'];
  await runToEnd(`load the library of ${stack}`, args, options);
}

/**
 * @param {string} what
 * @param {readonly string[]} args
 * @param {{executable: string, env: Record<string, string>}} options
 */
async function runToEnd(what, args, { executable, env }) {
  // The longest compiles some five hundred headers, perhaps beside two builds.
  const run = ['run', '--timeout', '900s', ...args];
  const { status, stderr } = await runProgram(executable, run, {
    env,
    output: 'capture',
    anyStatus: true,
  });
  if (status === 0) return;
  const tail = stderr.trim().split('\n').slice(-MOST_LINES).join('\n    ');
  throw new StepFailure(`${what}: exit status ${status}\n    ${tail}`, '');
}

/**
 * @param {string} stack
 * @param {string} stdout
 * @returns {Record<string, unknown>}
 */
function parse(stack, stdout) {
  try {
    return JSON.parse(stdout);
  } catch (error) {
    const shown = JSON.stringify(stdout.slice(0, 500));
    throw new StepFailure(`test ${stack}: expected a line of JSON, not ${shown}`, String(error));
  }
}

/**
 * @param {string} stack
 * @param {Record<string, unknown>} printed
 * @param {string} token
 */
function judge(stack, printed, token) {
  const problems = [];
  for (const [field, wanted] of Object.entries({ ...EXPECTED, tls: token })) {
    const [got, want] = [JSON.stringify(printed[field]), JSON.stringify(wanted)];
    if (got !== want) problems.push(`${field} is ${got}, not ${want}`);
  }
  const version = /-([\d.]+)$/.exec(stack)?.[1];
  if (version !== undefined && !`${printed.version}.`.startsWith(`${version}.`)) {
    problems.push(`version is ${printed.version}, not ${version}`);
  }
  // Programs on a Java machine report what the machine detects.
  const { memoryBytes, cpus } = printed;
  if (cpus !== undefined && cpus !== LIMITS.cpus) problems.push(`it sees ${cpus} cpus, not 1`);
  if (typeof memoryBytes === 'number' && memoryBytes > LIMITS.memoryBytes) {
    problems.push(`it sees ${memoryBytes} bytes of memory, more than its limit`);
  }
  return problems;
}
