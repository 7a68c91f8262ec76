/**
 * Copies files between the host and a task, by a process of its own: a task can make whoever looks at its files wait. That process is ended if
 * it does not answer.
 */
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type ErrorJson, StackshimError, toStackshimError } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { within } from '../../core/pause.ts';
import { unlessAborted } from '../../core/unless-aborted.ts';
import { parsePath } from '../../spec/parse-path.ts';
import { toAbsolute } from '../../sys/paths.ts';
import { type EndedTool, type StartedTool, startTool } from '../../sys/start-tool.ts';
import {
  COPY_WORD,
  type CopyAnswer,
  type CopyOrder,
  type CopyReport,
  STREAM,
} from './copy-order.ts';

export type { CopyReport } from './copy-order.ts';

/** How long the process may say nothing. */
const ANSWERS_WITHIN_MS = 10_000;
/** How long it may take to let go of the task when nobody wants its answer. */
const ENDS_WITHIN_MS = 5_000;

export interface CopyFilesOptions {
  /** Gets the tar of a copy out of the task. Not ended. */
  readonly output?: { write(chunk: Uint8Array): void | Promise<void> } | undefined;
  /** The tar of a copy into the task. */
  readonly input?: Readable | undefined;
  /** An abort ends the copy; what was copied stays. */
  readonly signal?: AbortSignal | undefined;
}

/** @param paths `outside` absent: a tar. Throws ERR_STACKSHIM_SPEC_INVALID for paths that cannot exist. */
export function toOrder(
  layout: Layout,
  task: TaskId,
  paths: Pick<CopyOrder, 'direction' | 'inside'> & { readonly outside: string | undefined },
): CopyOrder {
  const { direction, inside, outside } = paths;
  parsePath(inside, 'path in the task');
  if (outside !== undefined) parsePath(outside, 'path');
  return {
    ...{ layout, task, direction, inside },
    outside: outside === undefined ? STREAM : toAbsolute(outside),
  };
}

/** Rejects with the error of the copying process, or ERR_STACKSHIM_OUTPUT_FAILED if that does not answer. */
export async function copyFiles(order: CopyOrder, options: CopyFilesOptions): Promise<CopyReport> {
  const operation = `copy files of task ${order.task}`;
  const { signal } = options;
  let tool: StartedTool;
  try {
    tool = await startTool({ command: commandOf(order) });
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', operation);
  }
  const watch = new SilenceWatch();
  try {
    const working = Promise.race([work(tool, order, { options, watch }), watch.over]);
    const { stderr, failure } = await unlessAborted(working, signal === undefined ? [] : [signal]);
    return readAnswer(stderr, { operation, failure });
  } catch (error) {
    if (error !== SILENT) {
      if (order.direction !== 'list') await letGo(tool);
      tool.keepAlive(false);
      if (signal?.aborted) throw toAborted(operation, error);
      throw error;
    }
    // The kernel may keep the process until the task ends.
    tool.keepAlive(false);
    throw new StackshimError(
      'ERR_STACKSHIM_OUTPUT_FAILED',
      `${operation}: the task's files did not answer within ${ANSWERS_WITHIN_MS / 1000} s`,
      { hint: 'the task may serve a filesystem itself and hold up readers; kill the task' },
    );
  } finally {
    watch.stop();
    tool.killAll();
  }
}

async function work(tool: StartedTool, order: CopyOrder, passing: Passing): Promise<EndedTool> {
  // A process that has ended reads no more input, however much there is.
  const feeding = Promise.race([passInput(tool.stdin, passing.options), tool.exited]);
  await Promise.all([passOutput(tool, order, passing), feeding]);
  return await tool.exited;
}

/** The process ends when nobody listens to it any more. If it were killed, the mounts of a kept task would stay. */
async function letGo({ stdin, stdout, exited }: StartedTool): Promise<void> {
  stdin.end();
  stdout.destroy();
  await within(exited, ENDS_WITHIN_MS);
}

const toAborted = (operation: string, cause: unknown) =>
  new StackshimError('ERR_STACKSHIM_OUTPUT_FAILED', `${operation}: aborted`, { cause });

function commandOf(order: CopyOrder): readonly string[] {
  const json = JSON.stringify(order);
  const isExecutable = process.versions['bun'] !== undefined;
  return [process.execPath, isExecutable ? COPY_WORD : programFile(), json];
}

/** Next to this file, in the source as well as in the build. */
const programFile = () =>
  fileURLToPath(import.meta.url.replace(/copy-files(\.[jt]s)$/, 'copy-process$1'));

const SILENT = new Error('silent');

/** Notices that a process has said nothing for too long. */
class SilenceWatch {
  /** Rejects then. */
  readonly over: Promise<never>;
  #give: (error: Error) => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor() {
    this.over = new Promise((_, reject) => {
      this.#give = reject;
    });
    this.over.catch(() => undefined);
    this.restart();
  }

  restart(): void {
    this.stop();
    this.#timer = setTimeout(() => this.#give(SILENT), ANSWERS_WITHIN_MS);
  }

  /** While this process itself does not listen. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}

interface Passing {
  readonly options: CopyFilesOptions;
  readonly watch: SilenceWatch;
}

async function passOutput(
  tool: StartedTool,
  { direction, outside }: CopyOrder,
  { options: { output }, watch }: Passing,
): Promise<void> {
  const isStream = direction !== 'in' && outside === STREAM;
  for await (const chunk of tool.stdout) {
    watch.stop();
    if (isStream) await output?.write(chunk as Buffer);
    watch.restart();
  }
}

async function passInput(stdin: Writable, { input }: CopyFilesOptions): Promise<void> {
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

interface Ended {
  readonly operation: string;
  readonly failure: string | undefined;
}

function readAnswer(stderr: string, { operation, failure }: Ended): CopyReport {
  const answer = parseAnswer(stderr);
  if (answer === undefined) {
    throw new StackshimError('ERR_STACKSHIM_OUTPUT_FAILED', `${operation}: ${failure ?? stderr}`);
  }
  if ('error' in answer) throw toError(answer.error);
  return answer.report;
}

/** The last line that is an answer; a process that was killed gives none. */
function parseAnswer(stderr: string): CopyAnswer | undefined {
  try {
    return JSON.parse(stderr.trimEnd().split('\n').at(-1) ?? '');
  } catch {
    return undefined;
  }
}

const toError = ({ code, message, hint, details }: ErrorJson) =>
  new StackshimError(code, message, { hint, details });
