/** A task's outputs: destinations are opened before the task exists, mounts held while it runs, and files taken when all its processes have ended. */
import { existsSync, fstatSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { StackshimError } from '../../core/errors.ts';
import { within } from '../../core/pause.ts';
import { resolveWorkdir } from '../../oci/build-process.ts';
import { invalidField } from '../../spec/field-errors.ts';
import { requireAllowedPath } from '../../spec/policy.ts';
import type { OutputRequest } from '../../spec/task-spec.ts';
import { sourceAbove } from '../../sys/output/seen-below.ts';
import { type Fd, MOUNT_ATTR, type System } from '../../sys/system.ts';
import { type Installation, readPolicy } from '../installation.ts';
import type { TaskPlan } from '../plan-task.ts';
import { openSink } from '../streams/open-sink.ts';
import type { OutputSink } from '../streams/output-sink.ts';
import { Budget } from './budget.ts';
import { ContentReader } from './content.ts';
import { type Destination, openDestination } from './destination.ts';
import { parseSource } from './find-sources.ts';
import { Stopped, toOutputError } from './left-out.ts';
import { listingRoom, OutputReport, type TakenOutput } from './output-report.ts';
import { Pace } from './pace.ts';
import {
  type FolderPlacing,
  placeOnHost,
  placeSources,
  type SourcePlace,
  toSourcePlace,
} from './place-sources.ts';
import { TarTarget } from './tar-target.ts';

/** The destination that stands for the caller's stream. */
const STREAM = '-';
const STOP_LOOK_MS = 250;
/** How long a stream may take nothing, unless the task's own timeout is longer. */
const PATIENCE_MS = 10_000;

export interface OutputCaller {
  /** Gets the tar of the outputs whose destination is `-`. */
  readonly outputStream?: Writable | OutputSink;
  readonly signals: readonly AbortSignal[];
}

export interface OutputsTaken {
  readonly outputs: readonly TakenOutput[];
  /** The first failure, or with `outputRequired` the first output that is not complete. */
  readonly error: StackshimError | null;
}

interface Asked {
  readonly request: OutputRequest;
  /** Undefined: the stream. */
  readonly destination: Destination | undefined;
}

/**
 * Opens the destinations. Rejects with ERR_STACKSHIM_INPUT_NOT_FOUND if one cannot be written to, ERR_STACKSHIM_SPEC_DENIED if the policy does
 * not allow it, ERR_STACKSHIM_SPEC_INVALID if the task could write to it or the stream is missing.
 */
export async function openTaskOutputs(
  installation: Installation,
  plan: TaskPlan,
  caller: OutputCaller,
): Promise<TaskOutputs> {
  const { allow } = await readPolicy(installation.layout);
  const asked: Asked[] = [];
  const writable = plan.container.spec.mounts
    .filter(({ readOnly }) => !readOnly)
    .map(({ source }) => source);
  try {
    for (const [index, request] of plan.command.spec.outputs.entries()) {
      if (request.destination === STREAM) {
        if (typeof caller.outputStream?.write !== 'function') {
          const problem = 'the destination - needs a stream to write to (outputStream)';
          throw invalidField(`outputs[${index}]`, problem, STREAM);
        }
        asked.push({ request, destination: undefined });
        continue;
      }
      const destination = openDestination(request.destination);
      asked.push({ request, destination });
      requireAllowedPath(allow, 'outputs', destination.path, 'outputs');
      refuseBelow(writable, request, destination);
    }
  } catch (error) {
    for (const { destination } of asked) destination?.close();
    throw error;
  }
  return new TaskOutputs(installation.system, { plan, asked, caller });
}

function refuseBelow(
  writable: readonly string[],
  { destination: path }: OutputRequest,
  { passed }: Destination,
): void {
  const source = writable.length === 0 ? undefined : sourceAbove(writable, passed);
  if (source === undefined) return;
  const message = `write ${path}: the task can write to ${source}`;
  throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', message, {
    hint: 'name a place outside of the folders to which the task can write, or bind them read-only',
    details: { path, source },
  });
}

interface OutputsParts {
  readonly plan: TaskPlan;
  readonly asked: readonly Asked[];
  readonly caller: OutputCaller;
}

interface Trees {
  readonly root: Fd;
  readonly code: Fd | undefined;
}

export class TaskOutputs {
  readonly #system: System;
  readonly #parts: OutputsParts;
  readonly #held: Fd[] = [];
  #trees: Trees | undefined;

  constructor(system: System, parts: OutputsParts) {
    this.#system = system;
    this.#parts = parts;
  }

  /** Clones the task's mounts: read-only, and without later mounts of the task. Precondition: they are attached. */
  hold(rootfs: string, code: string | undefined): void {
    this.#trees = {
      root: this.#clone(rootfs),
      code: code === undefined ? undefined : this.#clone(code),
    };
  }

  /** Takes the outputs, none if the task has not run, and releases the task's mounts. Never rejects. Precondition: no process of the task is left. */
  async take({ idBase, hasRun }: { readonly idBase: number; readonly hasRun: boolean }) {
    try {
      const trees = hasRun ? this.#trees : undefined;
      const { outputs, error } = await new Taking({ ...this.#parts, trees, idBase }).run();
      return { outputs, error: error ?? this.#findIncomplete(outputs) };
    } finally {
      await this.close();
    }
  }

  /** Closes the destinations and the mounts. A second call does nothing. */
  async close(): Promise<void> {
    for (const { destination } of this.#parts.asked) destination?.close();
    const held = this.#held.splice(0);
    await Promise.all(held.map((fd) => this.#system.closeAside(fd)));
  }

  #clone(path: string): Fd {
    const fd = this.#system.openTreeClone(path);
    this.#held.push(fd);
    const { RDONLY, NOSUID, NODEV, NOEXEC } = MOUNT_ATTR;
    this.#system.restrictMount(fd, RDONLY | NOSUID | NODEV | NOEXEC, { recursive: false });
    return fd;
  }

  #findIncomplete(outputs: readonly TakenOutput[]): StackshimError | null {
    if (!this.#parts.plan.command.spec.outputRequired) return null;
    const found = outputs.find(({ state }) => state !== 'complete');
    if (found === undefined) return null;
    const { source, state, leftOut, leftOutCount } = found;
    const [first] = leftOut;
    const example =
      first === undefined ? '' : `, the first because of ${first.reason}: ${first.path}`;
    const reason =
      state === 'missing'
        ? 'the task has no such file or folder'
        : `${leftOutCount} entries were left out${example}`;
    return new StackshimError('ERR_STACKSHIM_OUTPUT_INCOMPLETE', `take ${source}: ${reason}`, {
      details: { source, state },
    });
  }
}

interface TakingParts extends OutputsParts {
  /** Undefined if the task never ran. */
  readonly trees: Trees | undefined;
  readonly idBase: number;
}

class Taking {
  readonly #parts: TakingParts;
  readonly #pace: Pace;
  readonly #budget: Budget;
  readonly #content: ContentReader;
  readonly #isStopped: () => boolean;
  readonly #used = new Map<string, Set<string>>();
  readonly #room = listingRoom();
  #tar: TarTarget | undefined;
  #error: StackshimError | null = null;

  constructor(parts: TakingParts) {
    this.#parts = parts;
    const { takenBytes, takenEntries } = parts.plan.command.spec.limits;
    this.#budget = new Budget({ bytes: takenBytes, entries: takenEntries });
    this.#isStopped = toStopLook(parts.caller.signals, parts.plan.container.places.cancelFile);
    this.#pace = new Pace(this.#isStopped);
    this.#content = new ContentReader(this.#budget, this.#pace);
  }

  async run(): Promise<OutputsTaken> {
    const { asked, caller, plan } = this.#parts;
    const patienceMs = Math.max(PATIENCE_MS, plan.command.spec.limits.timeoutMs);
    const outputs: TakenOutput[] = [];
    const stream = asked.some(({ destination }) => destination === undefined)
      ? openStream(caller.outputStream, { isStopped: this.#isStopped, patienceMs })
      : undefined;
    try {
      for (const each of asked) outputs.push(await this.#takeOne(each, stream));
      if (this.#error === null) await this.#tar?.end();
    } catch (error) {
      this.#fail('write tar', error);
    } finally {
      stream?.close();
    }
    return { outputs, error: this.#error };
  }

  async #takeOne({ request, destination }: Asked, stream: ReturnType<typeof openStream>) {
    const report = new OutputReport(request.source, destination?.path ?? STREAM, this.#room);
    const before = this.#budget.bytesTaken;
    const { trees, idBase } = this.#parts;
    try {
      if (trees !== undefined) {
        const source = this.#findTree(request.source, trees);
        const options = this.#options(report);
        if (destination !== undefined) await placeOnHost(source, destination, options);
        else if (stream !== undefined) {
          this.#tar ??= new TarTarget({ content: this.#content, write: stream.write, idBase });
          const place = { folder: '', isFolder: true, used: this.#usedIn(STREAM) };
          await placeSources<string>(source, place, { ...options, target: this.#tar });
        }
      }
    } catch (error) {
      report.failed(this.#fail(`take ${request.source}`, error));
    }
    return report.finish(this.#budget.bytesTaken - before);
  }

  #findTree(source: string, trees: Trees): SourcePlace {
    const { container, command } = this.#parts.plan;
    const { workdir } = command.spec;
    const image = container.pinned.image.config;
    const hasCode = trees.code !== undefined;
    const pattern = parseSource(source, resolveWorkdir(workdir, hasCode, image));
    return toSourcePlace(pattern, trees);
  }

  #options(report: OutputReport): FolderPlacing {
    return {
      ...{ report, budget: this.#budget, pace: this.#pace, content: this.#content },
      usedIn: (folder) => {
        const { dev, ino } = fstatSync(folder);
        return this.#usedIn(`${dev}:${ino}`);
      },
    };
  }

  #usedIn(folder: string): Set<string> {
    const used = this.#used.get(folder) ?? new Set();
    this.#used.set(folder, used);
    return used;
  }

  #fail(operation: string, error: unknown): StackshimError {
    const failure = toOutputError(operation, error);
    this.#error ??= failure;
    return failure;
  }
}

/** Returns a function: true once the caller or another process asks for the end. Requests from before the task's end do not count. */
function toStopLook(signals: readonly AbortSignal[], cancelFile: string): () => boolean {
  const open = signals.filter(({ aborted }) => !aborted);
  const wasCancelled = existsSync(cancelFile);
  let lookAt = 0;
  return () => {
    if (open.some(({ aborted }) => aborted)) return true;
    if (wasCancelled || performance.now() < lookAt) return false;
    lookAt = performance.now() + STOP_LOOK_MS;
    return existsSync(cancelFile);
  };
}

/** Opens the caller's stream. If the stream fails, the tar ends; the wait for a stalled stream ends on request, or after `patienceMs`. */
function openStream(
  target: OutputCaller['outputStream'],
  { isStopped, patienceMs }: { readonly isStopped: () => boolean; readonly patienceMs: number },
) {
  if (target === undefined) return undefined;
  let failure: unknown;
  const sink = openSink(target, {
    lost() {
      failure ??= new Error('the stream takes nothing more');
    },
    failed(error) {
      failure = error;
    },
  });
  const wait = async (pending: void | Promise<void>) => {
    if (pending === undefined) return;
    const done = pending.then(() => true);
    const endsAt = performance.now() + patienceMs;
    while ((await within(done, STOP_LOOK_MS)) === undefined) {
      if (isStopped()) throw new Stopped();
      if (performance.now() > endsAt) throw new Error('the stream takes nothing');
    }
  };
  return {
    async write(bytes: Uint8Array) {
      await wait(sink.write(bytes));
      await wait(sink.settled());
      if (failure !== undefined) throw failure;
    },
    close: () => sink.close(),
  };
}
