/** The `stackshim` command: runs the called command, and turns errors into a message and an exit status. */
import { hastenAttach } from '../cgroup/hasten-attach.ts';
import { type ErrorJson, ReaderGone, toStackshimError } from '../core/errors.ts';
import type { RunAction } from './define/define-run.ts';
import {
  READER_GONE,
  SHIM_FAILED,
  statusOfError,
  statusOfSetupFailure,
  USAGE_ERROR,
} from './exit-status.ts';
import { reportError } from './print/printable.ts';

declare const Bun: { readonly unsafe: { setJITPolicy(scale: number): void } };

const args = process.argv.slice(2);
const isRun = args[0] === 'run';
const isExec = args[0] === 'exec';
const isWaitedFor = args[0] === 'queue' && args[1] === 'add' && optionsOf(args).includes('--wait');
/** Whether the exit status is that of a command in a task. */
const passesStatusOn = isRun || isExec || isWaitedFor;

// The kernel works on this while everything else is loaded.
if (isRun || isExec) void hastenAttach();

// Only their owner may access files that this process creates. A stricter umask of the caller stays.
process.umask(process.umask() & 0o077);

// If the caller ignores SIGCHLD, this process inherits that, and the kernel would not report how children ended.
process.on('SIGCHLD', () => undefined);

// An error that nobody awaits must not end this process with the status of a failed task.
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error) => process.exit(statusOf(error)));
}

try {
  await returnToCallerDirectory();
  // An internal command, which `run -d` calls.
  if (args[0] === 'keep-task') await keepTask();
  const plain = isRun
    ? (await import('./define/run-options.ts')).readRunLine(args.slice(1))
    : undefined;
  if (plain !== undefined) await executeRun(plain.first, plain.rest, plain.options);
  else if (!(isExec && (await executeExec())) && !(await readByCommander()))
    process.exitCode = passesStatusOn ? SHIM_FAILED : USAGE_ERROR;
  // Everything is written. Waiting until the engine is idle takes longer.
  if (passesStatusOn) process.exit();
} catch (error) {
  // Load these only now: a command in a running task does not need the options of tasks.
  const namesOptions = isRun || isExec ? await import('./define/run-options.ts') : undefined;
  process.exitCode = statusOf(error, namesOptions?.nameOptions);
}

/** Returns the words before the task's command. */
function optionsOf(words: readonly string[]): readonly string[] {
  const end = words.indexOf('--');
  return end === -1 ? words : words.slice(0, end);
}

/** Returns to the caller's directory. The engine does not start in that directory, so scripts/steps/leave-lost-directory.mjs left it. */
async function returnToCallerDirectory(): Promise<void> {
  if (!/^\/proc\/\d+\/fdinfo$/.test(process.cwd())) return;
  const { returnToDirectory } = await import('./run/return-to-directory.ts');
  returnToDirectory();
}

async function keepTask(): Promise<never> {
  const keeper = await import('../door/keeper/keep-task.ts');
  await keeper.keepTask();
  process.exit();
}

async function executeRun(...line: Parameters<RunAction>): Promise<void> {
  const run = await import('./run/execute-run.ts');
  await run.executeRun(...line);
}

/** Runs a plain line of `exec`. Resolves to false for a line that commander must read. */
async function executeExec(): Promise<boolean> {
  const { readPlainLine } = await import('./define/plain-line.ts');
  // Most lines have no options, and do not load their table.
  const hasOptions = args[1]?.startsWith('-');
  const table = hasOptions ? (await import('./define/exec-options.ts')).EXEC_OPTIONS : [];
  const plain = readPlainLine(args.slice(1), table);
  if (plain === undefined) return false;
  const { exec } = await import('./commands/exec.ts');
  process.exitCode = await exec(plain.first, plain.rest, plain.options);
  return true;
}

/** Loads commander for the lines that need it: a plain task must not wait for that. */
async function readByCommander(): Promise<boolean> {
  // For the sake of tasks, the executable compiles late. Builds, imports and watches run long enough to gain from compiling.
  if (!isRun && !isExec) Bun.unsafe.setJITPolicy(1);
  const { carryOut, defineCommands } = await import('./command-line.ts');
  return await carryOut(await defineCommands(executeRun, args[0]), args);
}

function statusOf(error: unknown, toShown = (json: ErrorJson) => json): number {
  if (error instanceof ReaderGone) return READER_GONE;
  const known = toStackshimError(error, 'ERR_STACKSHIM_INTERNAL', args[0] ?? 'start');
  reportError(toShown(known.toJSON()));
  return passesStatusOn ? statusOfSetupFailure(known) : statusOfError(known);
}
