/**
 * The outputs of one task: their destinations are opened before the task exists, its mounts are held while it runs, and its files are taken
 * when all of its processes have ended.
 */
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
import type { Installation } from '../installation.ts';
import { readPolicy } from '../installation.ts';
import type { TaskPlan } from '../plan-task.ts';
import { openSink } from '../streams/open-sink.ts';
import type { OutputSink } from '../streams/output-sink.ts';
import { Budget } from './budget.ts';
import { ContentReader } from './content.ts';
import { type Destination, openDestination, ownerOfFolder } from './destination.ts';
import { parseSource } from './find-sources.ts';
import { FolderTarget, type TargetFolder } from './folder-target.ts';
import { Stopped } from './left-out.ts';
import { toOutputError } from './output-error.ts';
import { ListingRoom, OutputReport, type TakenOutput } from './output-report.ts';
import { Pace } from './pace.ts';
import { openPlace, type Place, placeSources, type SourcePlace } from './place-sources.ts';
import { TarTarget } from './tar-target.ts';

/** The destination that stands for the stream of the caller. */
const STREAM = '-';
/** Where a task's code is mounted. */
const CODE_AT = '/task';
const STOP_LOOK_MS = 250;
/** How long a stream may take nothing, if the task may not take longer itself. */
const PATIENCE_MS = 10_000;

export interface OutputCaller {
  /** Gets the tar of the outputs whose destination is `-`. */
  readonly outputStream?: Writable | OutputSink;
  readonly signals: readonly AbortSignal[];
}

/** What became of all outputs of a task. */
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
 * Opens the destinations. Throws ERR_STACKSHIM_INPUT_NOT_FOUND for one that cannot be written to, ERR_STACKSHIM_SPEC_DENIED for one that the policy
 * does not allow, ERR_STACKSHIM_SPEC_INVALID for one that the task could write to, or for a stream that is missing.
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
        requireStream(caller, `outputs[${index}]`);
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

function requireStream({ outputStream }: OutputCaller, field: string): void {
  if (typeof outputStream?.write === 'function') return;
  throw invalidField(field, 'the destination - needs a stream to write to (outputStream)', STREAM);
}

function refuseBelow(
  writable: readonly string[],
  { destination: path }: OutputRequest,
  { passed }: Destination,
): void {
  const source = writable.length === 0 ? undefined : sourceAbove(writable, passed);
  if (source === undefined) return;
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `write ${path}: the task can write to ${source}`,
    {
      hint: 'name a place outside of the folders to which the task can write, or bind them read-only',
      details: { path, source },
    },
  );
}

interface OutputsParts {
  readonly plan: TaskPlan;
  readonly asked: readonly Asked[];
  readonly caller: OutputCaller;
}

interface Trees {
  readonly rootfs: Fd;
  readonly code: Fd | undefined;
}

export interface TakeOptions {
  /** The host's id of the task's root. */
  readonly idBase: number;
  /** Whether its command ever ran; otherwise there is nothing to take. */
  readonly hasRun: boolean;
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

  /** Keeps the task's mounts, which are attached by then: read-only, and without what the task will mount in them. */
  hold(rootfs: string, code: string | undefined): void {
    this.#trees = {
      rootfs: this.#clone(rootfs),
      code: code === undefined ? undefined : this.#clone(code),
    };
  }

  /**
   * Takes the files, and lets go of the task's mounts. Never rejects. Precondition: no process of the task is left.
   */
  async take({ idBase, hasRun }: TakeOptions): Promise<OutputsTaken> {
    try {
      const trees = hasRun ? this.#trees : undefined;
      const taking = new Taking({ ...this.#parts, trees, idBase });
      const reports = await taking.run();
      return { outputs: reports, error: this.#toError(reports, taking.error) };
    } finally {
      await this.close();
    }
  }

  /** Lets go of everything; a second call does nothing. */
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

  #toError(
    outputs: readonly TakenOutput[],
    failure: StackshimError | undefined,
  ): StackshimError | null {
    if (failure !== undefined) return failure;
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

/** One taking of all outputs. */
class Taking {
  readonly #parts: TakingParts;
  readonly #pace: Pace;
  readonly #budget: Budget;
  readonly #content: ContentReader;
  readonly #isStopped: () => boolean;
  readonly #used = new Map<string, Set<string>>();
  readonly #room = new ListingRoom();
  #tar: TarTarget | undefined;
  #error: StackshimError | undefined;

  constructor(parts: TakingParts) {
    this.#parts = parts;
    const { takenBytes, takenEntries } = parts.plan.command.spec.limits;
    this.#budget = new Budget({ bytes: takenBytes, entries: takenEntries });
    this.#isStopped = toStopLook(parts.caller.signals, parts.plan.container.places.cancelFile);
    this.#pace = new Pace(this.#isStopped);
    this.#content = new ContentReader(this.#budget, this.#pace);
  }

  get error(): StackshimError | undefined {
    return this.#error;
  }

  async run(): Promise<readonly TakenOutput[]> {
    const { asked, caller, plan } = this.#parts;
    const { timeoutMs } = plan.command.spec.limits;
    const outputs: TakenOutput[] = [];
    const stream = asked.some(({ destination }) => destination === undefined)
      ? openStream(caller.outputStream, {
          isStopped: this.#isStopped,
          patienceMs: Math.max(PATIENCE_MS, timeoutMs),
        })
      : undefined;
    try {
      for (const each of asked) outputs.push(await this.#takeOne(each, stream));
      if (this.#tar !== undefined && this.#error === undefined) await this.#tar.end();
    } catch (error) {
      this.#fail('write tar', error);
    } finally {
      stream?.close();
    }
    return outputs;
  }

  async #takeOne({ request, destination }: Asked, stream: TarStream | undefined) {
    const report = new OutputReport(request.source, destination?.path ?? STREAM, this.#room);
    const before = this.#budget.bytesTaken;
    const { trees } = this.#parts;
    try {
      if (trees !== undefined) {
        const source = this.#findTree(request.source, trees);
        if (destination !== undefined) await this.#toFolder(source, destination, report);
        else if (stream !== undefined) await this.#toTar(source, stream, report);
      }
    } catch (error) {
      report.failed(this.#fail(`take ${request.source}`, error));
    }
    return report.finish(this.#budget.bytesTaken - before);
  }

  #findTree(source: string, { rootfs, code }: Trees): SourcePlace {
    const { container, command } = this.#parts.plan;
    const { workdir } = command.spec;
    const image = container.pinned.image.config;
    const hasCode = code !== undefined;
    const pattern = parseSource(source, resolveWorkdir(workdir, hasCode, image));
    const [first, ...rest] = pattern.names;
    if (code === undefined || `/${first}` !== CODE_AT) return { root: rootfs, at: '', pattern };
    return { root: code, at: CODE_AT, pattern: { ...pattern, names: rest } };
  }

  async #toFolder(source: SourcePlace, to: Destination, report: OutputReport): Promise<void> {
    const { folder, name, close } = openPlace(to);
    const target = new FolderTarget({
      content: this.#content,
      owner: ownerOfFolder(folder.fd),
      replaces: 'own',
    });
    const { dev, ino } = fstatSync(folder.fd);
    const key = `${dev}:${ino}`;
    const used = this.#used.get(key) ?? new Set();
    this.#used.set(key, used);
    const place: Place<TargetFolder> = { folder, name, isFolder: to.isFolder, used };
    try {
      await placeSources(source, place, this.#options(target, report));
    } finally {
      target.close();
      close();
    }
  }

  async #toTar(source: SourcePlace, stream: TarStream, report: OutputReport): Promise<void> {
    const { idBase } = this.#parts;
    this.#tar ??= new TarTarget({ content: this.#content, write: stream.write, idBase });
    const used = this.#used.get(STREAM) ?? new Set();
    this.#used.set(STREAM, used);
    const place: Place<string> = { folder: '', isFolder: true, used };
    await placeSources(source, place, this.#options(this.#tar, report));
  }

  #options<T>(target: T, report: OutputReport) {
    return { target, report, budget: this.#budget, pace: this.#pace };
  }

  #fail(operation: string, error: unknown): StackshimError {
    const failure = toOutputError(operation, error);
    this.#error ??= failure;
    return failure;
  }
}

/** True once the caller, or another process, asks for the end; what was asked before the task ended does not count. */
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

interface TarStream {
  readonly write: (bytes: Uint8Array) => Promise<void>;
  close(): void;
}

/** A caller's stream that fails ends the tar; one that takes nothing can be left by asking for the end. */
function openStream(
  target: OutputCaller['outputStream'],
  { isStopped, patienceMs }: { readonly isStopped: () => boolean; readonly patienceMs: number },
): TarStream | undefined {
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
  const wait = async (pending: Promise<void>) => {
    const done = pending.then(() => true);
    const endsAt = performance.now() + patienceMs;
    while ((await within(done, STOP_LOOK_MS)) === undefined) {
      if (isStopped()) throw new Stopped();
      if (performance.now() > endsAt) throw new Error('the stream takes nothing');
    }
  };
  return {
    async write(bytes) {
      const pending = sink.write(bytes);
      if (pending !== undefined) await wait(pending);
      const settling = sink.settled();
      if (settling !== undefined) await wait(settling);
      if (failure !== undefined) throw failure;
    },
    close: () => sink.close(),
  };
}
