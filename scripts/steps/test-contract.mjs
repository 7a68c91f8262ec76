/** Runs the programs of docs/contract.md, and programs for IronWorker's client libraries, as tasks of the stacks of their languages. */
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { StepFailure } from './failure.mjs';
import { projectRoot } from './paths.mjs';
import { runProgram } from './run-program.mjs';

/**
 * @typedef {object} ContractProgram
 * @property {string} language `python`: the beginning of its stacks' names
 * @property {string} file the name of the program
 * @property {string} source
 * @property {string} command the line that runs it: `stackshim run …`
 * @property {string} stack the stack in that line
 */

/** @typedef {{executable: string, env: Record<string, string>}} Tools */

const DOCUMENT = `${projectRoot}/docs/contract.md`;
const PROGRAM =
  /^### .+\n\n`([\w.]+)`:\n```\w+\n([\s\S]*?)```\n```sh\n(stackshim run .+ ([\w.-]+) -- .+)\n```$/gm;
const INPUT = /^`(\w+\.json)`:\n```json\n([\s\S]*?)```$/gm;
const EXPECTED = {
  verdict: 'succeeded',
  progress: 'done',
  stdout: 'Hello, world\n',
  left: 'Hello, world\n',
};

const toLanguage = (/** @type {string} */ stack) => stack.replace(/-[\d.]+$/, '');

/** @returns {Promise<readonly ContractProgram[]>} */
export async function readContractPrograms() {
  const text = await readFile(DOCUMENT, 'utf8');
  return [...text.matchAll(PROGRAM)].map(
    ([, file = '', source = '', command = '', stack = '']) => ({
      ...{ language: toLanguage(stack), file, source, command, stack },
    }),
  );
}

/** @returns {Promise<readonly {name: string, text: string}[]>} the files that the programs read */
async function readInputs() {
  const text = await readFile(DOCUMENT, 'utf8');
  return [...text.matchAll(INPUT)].map(([, name = '', content = '']) => ({ name, text: content }));
}

/**
 * Runs the document's program of the stack's language, by the command in the document; nothing to do for other stacks.
 * @param {string} stack a stack that is current in the installation that `env` names
 * @param {Tools & {language?: string}} tools `language`: whose program to run, if the name of the stack does not tell
 */
export async function testContract(stack, { executable, env, language = toLanguage(stack) }) {
  const program = (await readContractPrograms()).find((one) => one.language === language);
  if (program === undefined) return;
  await inFolder(async (folder) => {
    const files = [...(await readInputs()), { name: program.file, text: program.source }];
    for (const { name, text } of files) await writeFile(`${folder}/${name}`, text);
    const line = program.command
      .replace(
        'stackshim run',
        `"$STACKSHIM" run --json --timeout 300s --output greeting.txt:.left/`,
      )
      .replace(` ${program.stack} -- `, ` ${stack} -- `);
    const shell = ['-c', `cd "$PROGRAM" && ${line}`];
    const { stdout, stderr } = await runProgram('/bin/sh', shell, {
      env: { ...env, STACKSHIM: executable, PROGRAM: folder },
      output: 'capture',
      anyStatus: true,
    });
    const { verdict, progress, output } = parse(stack, stdout, stderr);
    const left = await readFile(`${folder}/.left/greeting.txt`, 'utf8').catch(() => null);
    compare(`the program of docs/contract.md in ${stack}`, EXPECTED, {
      ...{ verdict, progress, stdout: output?.stdout, left },
    });
  });
}

/** @type {Readonly<Record<string, readonly string[]>>} how a program for IronWorker is run, by its language */
const IRON_COMMANDS = {
  node: ['node', 'iron.mjs'],
  php: ['php', 'iron.php'],
  python: ['python3', 'iron.py'],
  ruby: ['ruby', 'iron.rb'],
};

/**
 * Runs the program for IronWorker of the stack's language, with and without payload and config; nothing to do for other stacks.
 * @param {string} stack
 * @param {Tools} tools
 */
export async function testIronProgram(stack, tools) {
  const command = IRON_COMMANDS[toLanguage(stack)];
  const code = `${projectRoot}/test/stacks/${toLanguage(stack)}`;
  if (command === undefined || !existsSync(`${code}/${command[1]}`)) return;
  const input = { text: 'Zürich 東京 🚀', list: [1, 2] };
  const settings = { retries: 3 };
  await inFolder(async (folder) => {
    await writeFile(`${folder}/config.json`, JSON.stringify(settings));
    const given = ['--payload', JSON.stringify(input), '--config-file', `${folder}/config.json`];
    const all = await runIron(stack, [...given, '--schedule-id', 'nightly'], {
      code,
      command,
      tools,
    });
    compare(
      `a program for IronWorker in ${stack}`,
      {
        ...{
          id: 'iron-task',
          payload: input,
          config: settings,
          schedule: 'nightly',
          beside: 'of the code',
        },
      },
      all,
    );
    const none = await runIron(stack, [], { code, command, tools });
    compare(
      `a program for IronWorker in ${stack} without payload`,
      {
        ...{ id: 'iron-task', payload: null, config: null, schedule: null, beside: 'of the code' },
      },
      none,
    );
  });
}

/**
 * @param {string} stack
 * @param {readonly string[]} given
 * @param {{code: string, command: readonly string[], tools: Tools}} program
 * @returns {Promise<unknown>} what the program printed
 */
async function runIron(stack, given, { code, command, tools: { executable, env } }) {
  const run = ['run', '--name', 'iron-task', '--args', 'iron', '--code', code, ...given];
  const { status, stdout, stderr } = await runProgram(executable, [...run, stack, ...command], {
    env,
    output: 'capture',
    anyStatus: true,
  });
  if (status === 0) return parse(stack, stdout, stderr);
  throw new StepFailure(`run a program for IronWorker in ${stack}: exit status ${status}`, stderr);
}

/** @param {(folder: string) => Promise<void>} work */
async function inFolder(work) {
  const folder = await mkdtemp('/var/tmp/stackshim-contract-');
  try {
    await chmod(folder, 0o755);
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/**
 * @param {string} stack
 * @param {string} stdout
 * @param {string} stderr
 */
function parse(stack, stdout, stderr) {
  try {
    return JSON.parse(stdout);
  } catch (error) {
    const shown = JSON.stringify(stdout.slice(0, 500));
    throw new StepFailure(`test ${stack}: expected JSON, not ${shown}: ${stderr}`, String(error));
  }
}

/**
 * @param {string} what
 * @param {unknown} wanted
 * @param {unknown} got
 */
function compare(what, wanted, got) {
  const texts = [got, wanted].map((value) => JSON.stringify(value));
  if (texts[0] === texts[1]) return;
  throw new StepFailure(`run ${what}: ${texts[0]}, not ${texts[1]}`, DOCUMENT);
}
