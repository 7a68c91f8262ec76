/** The `stackshim` command: carries out what it was called for, turns whatever goes wrong into a message and an exit status. */
import { ReaderGone, toStackshimError } from '../core/errors.ts';
import { READER_GONE, SHIM_FAILED, statusOfError, USAGE_ERROR } from './exit-status.ts';
import { reportError } from './printable.ts';
import type { RunAction } from './run-command.ts';
import { nameOptions, readRunLine } from './run-options.ts';

declare const Bun: { readonly unsafe: { setJITPolicy(scale: number): void } };

const args = process.argv.slice(2);
const isRun = args[0] === 'run';

// Whatever is made here is its owner's to read and write: a umask may only keep others out.
process.umask(process.umask() & 0o077);

// A caller that ignores the ends of its children hands that on: the kernel would tell nobody how those of this process ended.
process.on('SIGCHLD', () => undefined);

// What nobody awaits must not end with the status of a task that failed.
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error) => process.exit(statusOf(error)));
}

try {
  await returnIfSentAway();
  const plain = isRun ? readRunLine(args.slice(1)) : undefined;
  if (plain !== undefined) await executeRun(plain.stack, plain.rest, plain.options);
  else if (!(await readByCommander())) process.exitCode = isRun ? SHIM_FAILED : USAGE_ERROR;
  // All is written: to wait until the engine finds nothing left to do takes longer.
  if (isRun) process.exit();
} catch (error) {
  process.exitCode = statusOf(error);
}

/** By scripts/steps/leave-lost-directory.mjs, out of a working directory in which the engine does not start. */
async function returnIfSentAway(): Promise<void> {
  if (!/^\/proc\/\d+\/fdinfo$/.test(process.cwd())) return;
  const { returnToDirectory } = await import('./return-to-directory.ts');
  returnToDirectory();
}

async function executeRun(...line: Parameters<RunAction>): Promise<void> {
  const run = await import('./execute-run.ts');
  await run.executeRun(...line);
}

/** Loaded by those that need it alone: a task must not wait for it. */
async function readByCommander(): Promise<boolean> {
  // The executable is built to compile late, for a task's sake: builds, imports and watches have time to win by it.
  if (!isRun) Bun.unsafe.setJITPolicy(1);
  const { carryOut, defineCommands } = await import('./command-line.ts');
  return await carryOut(defineCommands(executeRun), args);
}

function statusOf(error: unknown): number {
  if (error instanceof ReaderGone) return READER_GONE;
  const known = toStackshimError(error, 'ERR_STACKSHIM_INTERNAL', args[0] ?? 'start');
  reportError(isRun ? nameOptions(known.toJSON()) : known.toJSON());
  return isRun ? SHIM_FAILED : statusOfError(known);
}
