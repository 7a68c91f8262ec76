/** Joins a store, the intake and the job runner into a worker. */
import { randomBytes } from 'node:crypto';
import { StackshimError, toStackshimError } from '../core/errors.ts';
import { within } from '../core/pause.ts';
import { type Door, openDoor } from '../door/open-stackshim.ts';
import type { Policy } from '../spec/policy.ts';
import { monotonicMs } from '../sys/clocks.ts';
import { freeBytesAt, sizeOfDiskAt } from '../sys/files.ts';
import { linuxSystem } from '../sys/linux-system.ts';
import { requireTrustedPath } from '../sys/trusted-path.ts';
import { Budget } from './intake/budget/budget.ts';
import { NO_NEEDS } from './intake/budget/needs.ts';
import { type Intake, startIntake } from './intake/start-intake.ts';
import { laneName } from './job/lane.ts';
import { describeLoss } from './queue-store/check-store.ts';
import { openStore } from './queue-store/open-store.ts';
import type { QueueStore } from './queue-store/queue-store.ts';
import { describeSkew } from './queue-store/skew.ts';
import { repeatWork } from './repeat-work.ts';
import { JobRunner } from './run/job-runner.ts';
import { openPolicyView, type PolicyView } from './run/policy-view.ts';
import { sweepKept } from './run/sweep-kept.ts';
import { WorkerGuard } from './run/worker-guard.ts';
import { createSupply, type Supply } from './supply/fetch-missing.ts';
import { prefetchAnnounced } from './supply/prefetch.ts';
import { namePublisher } from './supply/publish-names.ts';
import { ownName, type WorkerEvent, type WorkerStatus } from './worker-events.ts';
import { toWorkerSettings, type WorkerOptions, type WorkerSettings } from './worker-options.ts';

/** A worker that takes jobs until it is drained. */
export interface QueueWorker {
  /** Returns the worker's state without asking the store or the host. */
  status(): WorkerStatus;
  /**
   * Stops taking jobs, waits `drainMs` (default: the worker's) for running tasks, then ends the others and hands their jobs back. Resolves when the
   * worker holds nothing any more. A second call acts like `hasten` and resolves with the first.
   */
  drain(options?: DrainOptions): Promise<void>;
  /** Shortens a drain: the first call sends running tasks their stop signal now, the second KILL. */
  hasten(): void;
}

export interface DrainOptions {
  readonly drainMs?: number | undefined;
}

/**
 * Starts a worker. Resolves once it takes jobs. Rejects with ERR_STACKSHIM_SPEC_INVALID for options, ERR_STACKSHIM_PATH_UNTRUSTED for a folder
 * that others control, ERR_STACKSHIM_NOT_ROOT or _POLICY_INVALID, and within 10 seconds with ERR_STACKSHIM_STORE_… for an unusable store.
 */
export async function createWorker(options: WorkerOptions): Promise<QueueWorker> {
  const { root, run, policy } = options;
  const door = openDoor({ root, run, policy });
  const site = await door.site();
  const settings = withTrustedFolders(toWorkerSettings(options, site.cpus));
  const worker = new RunningWorker(door, settings, options.onEvent);
  try {
    await worker.start(site);
    return worker;
  } catch (error) {
    await worker.close();
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'start worker');
  }
}

/** Root writes and removes files in these folders by path, so nobody else may be able to replace a folder on the way. */
function withTrustedFolders(settings: WorkerSettings): WorkerSettings {
  const { logFolder, artefactFolder } = settings;
  return {
    ...settings,
    logFolder: logFolder && requireTrustedPath(logFolder, 'use folder of logs'),
    artefactFolder: artefactFolder && requireTrustedPath(artefactFolder, 'use folder of artefacts'),
  };
}

type Site = Awaited<ReturnType<Door['site']>>;

/** How long tasks may take to react to their stop signal when the worker ends. */
const TERM_MS = 10_000;
const SWEEP_FIRST_MS = 10_000;
const SWEEP_MS = 300_000;
const PUBLISH_MS = 30_000;
const PREFETCH_MS = 5_000;

class RunningWorker implements QueueWorker {
  readonly #door: Door;
  readonly #settings: WorkerSettings;
  readonly #onEvent: ((event: WorkerEvent) => void) | undefined;
  readonly #guard: WorkerGuard;
  readonly #supply: Supply;
  readonly #giveUp = new AbortController();
  readonly #hasten: (() => void)[] = [];
  #store: QueueStore | undefined;
  #budget: Budget | undefined;
  #intake: Intake | undefined;
  #runner: JobRunner | undefined;
  #draining: Promise<void> | undefined;
  #downSince: number | undefined;
  #handedBack = 0;

  readonly #warn = (error: unknown, operation: string): void => {
    const { code, message } = toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', operation);
    const text = error instanceof StackshimError ? `${operation}: ${message}` : message;
    this.#emit({ type: 'warning', code, message: text });
  };

  constructor(door: Door, settings: WorkerSettings, onEvent: WorkerOptions['onEvent']) {
    this.#door = door;
    this.#settings = settings;
    this.#onEvent = onEvent;
    this.#supply = createSupply(door, settings.registry);
    this.#guard = new WorkerGuard({
      startGuard: () => door.startGuard(),
      onRestart: () => this.#emit({ type: 'guard_restarted' }),
      onFailure: (error) => this.#warn(error, 'start guard'),
    });
  }

  async start(site: Site): Promise<void> {
    const { store: url, lockMs, queues, concurrency } = this.#settings;
    const policy = await openPolicyView(() => this.#door.policy());
    await this.#guard.start();
    const store = await openStore(url, { lockMs, stalledLookMs: Math.ceil(lockMs / 2) });
    this.#store = store;
    this.#budget = this.#openBudget(site, policy.last());
    this.#runner = new JobRunner({
      ...this.#settings,
      store,
      door: { run: this.#door.run, policy: () => policy.current() },
      supply: this.#supply,
      guard: this.#guard,
      worker: ownName(),
      emit: (event) => this.#emit(event),
      warn: this.#warn,
      giveUp: this.#giveUp.signal,
    });
    this.#intake = await this.#startIntake(store, this.#budget, policy, this.#runner);
    this.#repeatWork(store);
    const names = queues.map(({ name }) => name);
    this.#emit({ type: 'started', store: store.shown, queues: names, concurrency });
    if (store.loss !== undefined) this.#warnOfStore('store_loses', describeLoss(store.loss));
  }

  status(): WorkerStatus {
    const { queues, concurrency } = this.#settings;
    return {
      store: this.#store?.shown ?? '',
      queues: queues.map(({ name }) => name),
      concurrency,
      running: this.#runner?.running ?? 0,
      lanes: this.#intake?.lanes() ?? 0,
      isTaking: this.#draining === undefined,
      isStoreReachable: this.#downSince === undefined,
      isGuardAlive: this.#guard.isAlive,
      budget: {
        reserved: this.#budget?.reserved() ?? NO_NEEDS,
        total: this.#budget?.total() ?? NO_NEEDS,
      },
      lastRenewalAt: this.#runner?.lastRenewalAt?.toISOString() ?? null,
    };
  }

  async drain({ drainMs = this.#settings.drainMs }: DrainOptions = {}): Promise<void> {
    if (this.#draining === undefined) this.#draining = this.#drain(drainMs);
    else this.hasten();
    await this.#draining;
  }

  hasten(): void {
    this.#hasten.shift()?.();
  }

  async close(): Promise<void> {
    this.#giveUp.abort();
    await this.#intake?.close();
    await this.#store?.close();
    // Closing the store ends the runs that waited for it.
    if (this.#intake !== undefined) await within(this.#intake.idle(), TERM_MS);
    this.#runner?.close();
    // With a task that could not be ended, the guard stays to end it.
    if ((this.#runner?.running ?? 0) === 0) await this.#guard.close();
    this.#budget?.close();
  }

  async #drain(drainMs: number): Promise<void> {
    const [runner, intake] = [this.#runner, this.#intake];
    if (runner === undefined || intake === undefined) return;
    this.#emit({ type: 'draining', running: runner.running, drainMs });
    const handedBackBefore = this.#handedBack;
    const nextHasten = () => new Promise<void>((resolve) => this.#hasten.push(resolve));
    const [first, second] = [nextHasten(), nextHasten()];
    await intake.stopTaking();
    const idle = intake.idle();
    await within(Promise.race([idle, first]), drainMs);
    runner.drain();
    await within(Promise.race([idle, second]), TERM_MS);
    runner.hasten();
    await within(idle, this.#settings.lockMs);
    await this.close();
    this.#emit({ type: 'drained', handedBack: this.#handedBack - handedBackBefore });
  }

  #openBudget({ workersDir, root, memoryBytes, cpus }: Site, policy: Policy): Budget {
    return new Budget({
      folder: workersDir,
      system: linuxSystem,
      hasTasks: async (pid) => {
        const { tasks } = await this.#door.list();
        return tasks.some(({ ownerPid }) => ownerPid === pid);
      },
      onFailure: (error) => this.#warn(error, 'share the machine with its other workers'),
      policy,
      machine: {
        ...{ memoryBytes, cpus },
        freeDiskBytes: () => freeBytesAt(root),
        diskBytes: () => sizeOfDiskAt(root),
      },
      monotonicMs,
    });
  }

  async #startIntake(
    store: QueueStore,
    budget: Budget,
    policy: PolicyView,
    runner: JobRunner,
  ): Promise<Intake> {
    const { defaults, maxima } = policy.last();
    return await startIntake({
      ...this.#settings,
      ...{ store, budget, stalledLookMs: Math.ceil(this.#settings.lockMs / 2) },
      usualNeeds: defaults,
      mostNeeds: maxima,
      policyOf: policy.termsOf,
      handle: (taken) => runner.handle(taken),
      worker: ownName(),
      clock: { monotonicMs, epochMs: Date.now },
      newToken: () => randomBytes(16).toString('hex'),
      onError: (error, lane) =>
        this.#warn(error, lane === undefined ? 'take jobs' : `take jobs of ${laneName(lane)}`),
      onCancel: (lane, id) => runner.onCancel({ lane, id }),
      onGap: () => runner.lookForMarks(),
      onReachable: (isReachable) => this.#noteReachable(isReachable),
      onHold: (holdMs) => this.#warnOfStore('store_replaced', describeHold(holdMs)),
      onSkew: (skewMs) => this.#warnOfStore('clock_skew', describeSkew(skewMs)),
    });
  }

  /** Starts the periodic work that the worker does beside its jobs until it closes. */
  #repeatWork(store: QueueStore): void {
    const { logFolder, artefactFolder, keepResultsMs, registry } = this.#settings;
    const { catalogue } = store;
    const { signal } = this.#giveUp;
    const how = { signal, warn: this.#warn };
    const folders = [logFolder, artefactFolder].filter((folder) => folder !== undefined);
    if (folders.length > 0) {
      const later = { ...how, firstAfterMs: SWEEP_FIRST_MS };
      repeatWork('remove logs and artefacts of old jobs', SWEEP_MS, later, () =>
        sweepKept({ store, folders, keepResultsMs, signal }),
      );
    }
    const publish = namePublisher(this.#door, catalogue);
    repeatWork('publish names of stacks and code', PUBLISH_MS, how, publish);
    if (registry === undefined) return;
    const done = new Set<string>();
    repeatWork('prefetch stacks', PREFETCH_MS, how, () =>
      prefetchAnnounced(catalogue, this.#supply, done, how),
    );
  }

  /** Emits a warning whose message is `store <address>: <finding>`. */
  #warnOfStore(code: string, finding: string): void {
    this.#emit({ type: 'warning', code, message: `store ${this.#store?.shown}: ${finding}` });
  }

  #noteReachable(isReachable: boolean): void {
    if (!isReachable) {
      this.#downSince ??= performance.now();
      this.#emit({ type: 'store_unreachable' });
    } else if (this.#downSince !== undefined) {
      const downMs = Math.round(performance.now() - this.#downSince);
      this.#downSince = undefined;
      this.#emit({ type: 'store_reachable', downMs });
    }
  }

  #emit(event: WorkerEvent): void {
    if (event.type === 'job_handed_back') this.#handedBack += 1;
    try {
      this.#onEvent?.(event);
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : String(error));
    }
  }
}

const describeHold = (holdMs: number): string =>
  `its server was replaced and may lack what was written last: no job is taken for ${Math.ceil(holdMs / 1_000)} s`;
