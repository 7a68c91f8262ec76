/** Reads the /proc entries of many processes of a task. Each process can delay its answer: see `ask-process.ts`. */
import { close, open, read } from 'node:fs';
import { ask } from './ask-process.ts';
import { type ProcessInfo, parseStat, statFields } from './processes.ts';

/** The answers of one process. Each is undefined if the process is gone or did not answer in time. */
export interface ProcessAnswers {
  readonly stat: (ProcessInfo & { readonly cpuMs: number }) | undefined;
  /** The arguments, up to {@link MAX_ARGUMENT_BYTES}; empty for a zombie. A process can change them at any time. */
  readonly args: readonly string[] | undefined;
}

/** A process may have megabytes of arguments. */
const MAX_ARGUMENT_BYTES = 4_096;
/** A larger batch would time out for its last processes even if no process delays its answer. */
const ASKED_AT_ONCE = 64;
/** Total time limit, so that many processes that do not answer take no longer. */
const ASKED_WITHIN_MS = 3_000;
/** The unit of times in /proc: USER_HZ, which is 100 on every supported architecture. */
const MS_PER_TICK = 10;

/** Asks processes in the order of `pids`. A process whose turn does not come in time has no answers. */
export async function askProcesses(pids: readonly number[]): Promise<readonly ProcessAnswers[]> {
  const endsAt = performance.now() + ASKED_WITHIN_MS;
  // A process is more likely to delay its second answer.
  const stats = await askEach(pids, endsAt, (pid) => ask(pid, 'stat'));
  const args = await askEach(pids, endsAt, (pid) => ask(pid, 'cmdline', readArguments));
  return pids.map((pid, index) => ({
    stat: toStat(pid, stats[index]),
    args: splitArguments(args[index]),
  }));
}

async function askEach(
  pids: readonly number[],
  endsAt: number,
  question: (pid: number) => Promise<string | undefined>,
): Promise<readonly (string | undefined)[]> {
  const answers: (string | undefined)[] = [];
  for (let from = 0; from < pids.length; from += ASKED_AT_ONCE) {
    if (performance.now() > endsAt) break;
    answers.push(...(await Promise.all(pids.slice(from, from + ASKED_AT_ONCE).map(question))));
  }
  return answers;
}

function toStat(pid: number, text: string | undefined): ProcessAnswers['stat'] {
  if (text === undefined) return undefined;
  const fields = statFields(text);
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { ...parseStat(pid, text), cpuMs: ticks * MS_PER_TICK };
}

/** Programs that change their name may leave trailing NULs. */
function splitArguments(text: string | undefined): readonly string[] | undefined {
  const ended = text?.replace(/\0+$/, '');
  return ended === '' ? [] : ended?.split('\0');
}

/** Waits at most for the memory map's lock, until this process is killed. The kernel returns nothing here for memory that maps a file. */
function readArguments(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    open(path, 'r', (failed, fd) => {
      if (failed !== null) return resolve(undefined);
      const bytes = Buffer.alloc(MAX_ARGUMENT_BYTES);
      read(fd, bytes, 0, bytes.length, null, (error, length) => {
        close(fd, () => resolve(error === null ? bytes.toString('utf8', 0, length) : undefined));
      });
    });
  });
}
