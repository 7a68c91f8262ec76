/** Copies files between the host and a task in a separate process, which is killed if it does not answer: a task can block readers of its files. */
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { type ErrorOptions, StackshimError, toStackshimError } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { within } from '../../core/pause.ts';
import { parseJson } from '../../core/read-fields.ts';
import { unlessAborted } from '../../core/unless-aborted.ts';
import { parsePath } from '../../spec/parse-path.ts';
import { toAbsolute } from '../../sys/paths.ts';
import { ownProgram } from '../../sys/start-program.ts';
import { type StartedTool, startTool } from '../../sys/start-tool.ts';
import {
  COPY_WORD,
  type CopyAnswer,
  type CopyOrder,
  type CopyReport,
  STREAM,
} from './copy-order.ts';

export type { CopyReport } from './copy-order.ts';

/** A copying process that writes nothing for this long counts as stuck. */
const ANSWERS_WITHIN_MS = 10_000;
/** How long the process may take to release the task once nobody waits for its answer. */
const ENDS_WITHIN_MS = 5_000;

export interface CopyFilesOptions {
  /** Receives the tar of a copy out of the task. Not ended. */
  readonly output?: { write(chunk: Uint8Array): void | Promise<void> } | undefined;
  /** The tar of a copy into the task. */
  readonly input?: Readable | undefined;
  /** An abort ends the copy; what was copied stays. */
  readonly signal?: AbortSignal | undefined;
}

export interface CopyPaths extends Pick<CopyOrder, 'direction' | 'inside'> {
  /** Path on the host; absent: a tar. */
  readonly outside?: string | undefined;
}

/** Makes the order for a copying process. Throws ERR_STACKSHIM_SPEC_INVALID for paths that cannot exist. */
export function toOrder(
  layout: Layout,
  task: TaskId,
  { direction, inside, outside }: CopyPaths,
): CopyOrder {
  parsePath(inside, 'path in the task');
  if (outside !== undefined) parsePath(outside, 'path');
  return {
    ...{ layout, task, direction, inside },
    outside: outside === undefined ? STREAM : toAbsolute(outside),
  };
}

/** Copies files. Rejects with the error of the copying process, or ERR_STACKSHIM_OUTPUT_FAILED if the copy was aborted or got no answer. */
export async function copyFiles(order: CopyOrder, options: CopyFilesOptions): Promise<CopyReport> {
  const operation = `copy files of task ${order.task}`;
  const { signal } = options;
  const program = ownProgram(COPY_WORD, 'copy-process', import.meta.filename);
  const command = [process.execPath, program, JSON.stringify(order)];
  const tool = await startTool({ command }).catch((error: unknown) => {
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', operation);
  });
  const silence = watchSilence();
  try {
    // A process that has ended reads no more input: do not wait for the rest.
    const feeding = Promise.race([passInput(tool.stdin, options.input), tool.exited]);
    const passing = Promise.all([passOutput(tool, order, options.output, silence), feeding]);
    const working = passing.then(() => tool.exited);
    const signals = signal === undefined ? [] : [signal];
    const { stderr, failure } = await unlessAborted(working, [silence.signal, ...signals]);
    // The last line is the answer; a killed process gives none.
    const last = stderr.trimEnd().split('\n').at(-1) ?? '';
    const answer = parseJson(last) as CopyAnswer | undefined;
    if (answer === undefined) throw toFailed(`${operation}: ${failure ?? stderr}`);
    if ('report' in answer) return answer.report;
    const { code, message, hint, details } = answer.error;
    throw new StackshimError(code, message, { hint, details });
  } catch (error) {
    const isSilent = error === SILENT;
    if (!isSilent && order.direction !== 'list') {
      // Hang up, which ends the process. If it were killed, the mounts of a kept task would stay.
      tool.stdin.end();
      tool.stdout.destroy();
      await within(tool.exited, ENDS_WITHIN_MS);
    }
    // The kernel may keep a silent process until the task ends; this process must not wait for it.
    tool.keepAlive(false);
    if (isSilent) {
      const limit = `${ANSWERS_WITHIN_MS / 1000} s`;
      throw toFailed(`${operation}: the task's files did not answer within ${limit}`, {
        hint: 'the task may serve a filesystem itself and hold up readers; kill the task',
      });
    }
    throw signal?.aborted ? toFailed(`${operation}: aborted`, { cause: error }) : error;
  } finally {
    silence.stop();
    tool.killAll();
  }
}

const toFailed = (message: string, options?: ErrorOptions) =>
  new StackshimError('ERR_STACKSHIM_OUTPUT_FAILED', message, options);

const SILENT = new Error('silent');

/** A watchdog: `signal` aborts if `restart` is not called for too long. */
function watchSilence() {
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const stop = () => clearTimeout(timer);
  const restart = () => {
    stop();
    timer = setTimeout(() => over.abort(SILENT), ANSWERS_WITHIN_MS);
  };
  restart();
  return { signal: over.signal, restart, stop };
}

async function passOutput(
  tool: StartedTool,
  { direction, outside }: CopyOrder,
  output: CopyFilesOptions['output'],
  silence: ReturnType<typeof watchSilence>,
): Promise<void> {
  const isStream = direction !== 'in' && outside === STREAM;
  for await (const chunk of tool.stdout) {
    // While this process waits for `output`, the copying process may have to be silent.
    silence.stop();
    if (isStream) await output?.write(chunk as Buffer);
    silence.restart();
  }
}

async function passInput(stdin: Writable, input: Readable | undefined): Promise<void> {
  if (input === undefined) {
    stdin.end();
    return;
  }
  try {
    for await (const chunk of input) {
      if (stdin.destroyed || stdin.writableEnded) return;
      if (!stdin.write(chunk)) await Promise.race([once(stdin, 'drain'), once(stdin, 'close')]);
    }
  } finally {
    stdin.end();
  }
}

/** Nobody waits longer for a shell completion. */
const LISTED_WITHIN_MS = 5_000;
/** Safe names. The task chooses names, and a shell inserts them into root's command line as they are: other names could be commands. */
const HARMLESS = /^[\p{L}\p{N}._+@%,-]+\/?$/u;

/**
 * The names in a folder of a running task, for shell completion: sorted, folders with a slash at the end, without names that a shell could take
 * for something else. Rejects like `copyFiles`.
 */
export async function listFiles(
  layout: Layout,
  id: TaskId,
  folder: string,
): Promise<readonly string[]> {
  const chunks: Uint8Array[] = [];
  const order = toOrder(layout, id, { direction: 'list', inside: folder, outside: undefined });
  await copyFiles(order, {
    output: { write: (chunk) => void chunks.push(chunk) },
    signal: AbortSignal.timeout(LISTED_WITHIN_MS),
  });
  const names = Buffer.concat(chunks).toString().split('\0');
  return names.filter((name) => HARMLESS.test(name)).sort();
}
