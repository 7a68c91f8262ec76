/**
 * Reports what happens to all tasks of the installation, without asking their owners: inotify(7) reports the entries of the tasks folder and of
 * each task's folder, by name and in order. A file may be gone before it can be read, so most events follow from names alone.
 */
import { existsSync, statSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import { isTaskId, type StackName, type TaskId, type TenantName } from '../../core/ids.ts';
import { tasksDir } from '../../core/layout.ts';
import { pause } from '../../core/pause.ts';
import { type EntryEvent, EntryWatch, type WatchId } from '../../sys/entry-watch.ts';
import { ensureDirectorySync, namesIn } from '../../sys/files.ts';
import type { Installation } from '../installation.ts';
import { listTaskIds, readRecord } from '../records/read-record.ts';
import type { TaskExit, TaskRecord } from '../records/record.ts';
import { type TaskPlaces, taskPlaces } from '../records/task-places.ts';

/** The task of an event, according to its record. Null: the record was gone before it could be read. */
interface EventTask {
  /** ISO 8601, UTC: when the event was noticed. */
  readonly at: string;
  readonly id: TaskId;
  readonly stack: StackName | null;
  readonly revision: number | null;
  readonly tenant: TenantName | null;
  readonly labels: Readonly<Record<string, string>>;
}

/** What happened to a task. */
type TaskHappening =
  /** The task has a record. */
  | { readonly type: 'accepted' }
  /** The container exists. */
  | { readonly type: 'created' }
  /** The command runs. */
  | { readonly type: 'started' }
  | { readonly type: 'paused' }
  | { readonly type: 'unpaused' }
  /** The task has new limits. */
  | { readonly type: 'updated' }
  /** A further command is executed in the task. */
  | { readonly type: 'exec' }
  /** The kernel killed processes of the task for lack of memory; `kills`: how many so far. */
  | { readonly type: 'oom'; readonly kills: number }
  /** A process other than the owner ends the task: on request (`cancelled`), or because its time is over (`timed_out`). */
  | { readonly type: 'stopping'; readonly cause: 'cancelled' | 'timed_out' }
  | { readonly type: 'exited'; readonly exitCode: number | null; readonly signal: string | null }
  /** The task has ended, and its files stay. */
  | { readonly type: 'kept' }
  | { readonly type: 'removed' };

/** What happened to a task; or `lost`: the kernel dropped events because nobody read them in time. */
export type InstallationEvent =
  | (EventTask & TaskHappening)
  | { readonly type: 'lost'; readonly at: string };

/** The listener of `watchEvents`, and when it stops. */
export interface WatchEventsOptions {
  /** After an abort, no event follows, and the promise resolves. */
  readonly signal: AbortSignal;
  /** Called once: everything that happens from now on is reported. */
  readonly onReady?: () => void;
  /** Called with one event at a time. While a returned promise is pending, the kernel holds up to 16,384 changes: all that a slow listener costs. */
  readonly onEvent: (event: InstallationEvent) => void | Promise<void>;
}

/** Short enough to watch a task's folder before its container exists. A look that finds nothing costs some microseconds. */
const LOOK_EVERY_MS = 10;
/** How often to look for what no folder shows: processes killed for lack of memory, and another tasks folder. */
const ASK_EVERY_MS = 1_000;

/**
 * Reports events until `signal` aborts, also of tasks that exist already, but not their past. Rejects if the tasks folder cannot be watched, or
 * with the error of `onEvent`. Needs root. Any number of processes may watch.
 */
export async function watchEvents(
  installation: Installation,
  options: WatchEventsOptions,
): Promise<void> {
  const entries = new EntryWatch();
  try {
    await new TaskWatch(installation, entries, options).run();
  } finally {
    entries.close();
  }
}

interface WatchedTask {
  readonly id: TaskId;
  readonly places: TaskPlaces;
  readonly watch: WatchId | undefined;
  execsWatch: WatchId | undefined;
  record: TaskRecord | undefined;
  readonly told: Set<TaskHappening['type']>;
  oomKills: number;
}

class TaskWatch {
  readonly #installation: Installation;
  readonly #options: WatchEventsOptions;
  readonly #entries: EntryWatch;
  readonly #tasks = new Map<TaskId, WatchedTask>();
  readonly #byWatch = new Map<WatchId, WatchedTask>();
  #folder: { readonly watch: WatchId | undefined; readonly identity: string } | undefined;
  #askAt = 0;

  constructor(installation: Installation, entries: EntryWatch, options: WatchEventsOptions) {
    this.#installation = installation;
    this.#entries = entries;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    this.#watchFolder();
    for (const id of listTaskIds(this.#installation.layout)) this.#watch(id);
    for (const task of this.#tasks.values()) this.#noteState(task);
    this.#options.onReady?.();
    while (!signal.aborted) {
      const events = this.#entries.read();
      for (const event of events) {
        if (signal.aborted) return;
        await this.#on(event);
      }
      if (performance.now() >= this.#askAt) await this.#ask();
      if (events.length === 0) await pause(LOOK_EVERY_MS);
    }
  }

  /** Watches the present tasks folder, which may have been removed and created again. False if it is watched already. */
  #watchFolder(): boolean {
    const path = tasksDir(this.#installation.layout);
    ensureDirectorySync(path, 0o711);
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    const identity = stat === undefined ? '' : `${stat.ino}-${stat.birthtimeNs}`;
    if (this.#folder?.identity === identity) return false;
    this.#folder = { watch: this.#entries.add(path), identity };
    return true;
  }

  async #on(event: EntryEvent): Promise<void> {
    if (event.kind === 'lost') {
      await this.#options.onEvent({ type: 'lost', at: new Date().toISOString() });
      return await this.#compare();
    }
    if (event.watch === this.#folder?.watch) return await this.#onFolder(event);
    const task = this.#byWatch.get(event.watch);
    if (task === undefined) return;
    if (event.watch === task.execsWatch) {
      if (event.kind === 'appeared') await this.#tell(task, { type: 'exec' });
    } else await this.#onEntry(task, event);
  }

  async #onFolder({ name, kind }: Pick<EntryEvent, 'name' | 'kind'>): Promise<void> {
    if (!isTaskId(name)) return;
    const known = this.#tasks.get(name);
    if (kind === 'disappeared' && known !== undefined) return await this.#onGone(known);
    // A known task appeared between the first look at the folder and the listing of its tasks.
    if (kind === 'disappeared' || known !== undefined) return;
    const task = this.#watch(name);
    await this.#tell(task, { type: 'accepted' });
    await this.#tellState(task);
  }

  async #onGone(task: WatchedTask): Promise<void> {
    this.#tasks.delete(task.id);
    for (const watch of [task.watch, task.execsWatch]) {
      if (watch === undefined) continue;
      this.#byWatch.delete(watch);
      this.#entries.remove(watch);
    }
    await this.#tell(task, { type: 'removed' });
  }

  #watch(id: TaskId): WatchedTask {
    const places = taskPlaces(this.#installation.layout, id);
    const watch = this.#entries.add(places.taskDir);
    const record = this.#recordOf(id);
    const told = new Set<TaskHappening['type']>();
    const task = { id, places, watch, execsWatch: undefined, record, told, oomKills: 0 };
    this.#tasks.set(id, task);
    if (watch !== undefined) this.#byWatch.set(watch, task);
    return task;
  }

  #recordOf(id: TaskId): TaskRecord | undefined {
    try {
      return readRecord(this.#installation.layout, id);
    } catch (error) {
      // A damaged record: `ps` reports it.
      if (error instanceof StackshimError) return undefined;
      throw error;
    }
  }

  async #onEntry(task: WatchedTask, { name, kind, moved }: EntryEvent): Promise<void> {
    const exit = exitInName(name);
    if (exit !== undefined) return await this.#tellExit(task, exit);
    if (name === 'paused') {
      return await this.#tell(task, { type: kind === 'appeared' ? 'paused' : 'unpaused' });
    }
    if (kind !== 'appeared') return;
    switch (name) {
      case 'record.json':
        task.record = this.#recordOf(task.id) ?? task.record;
        return await this.#tellRecord(task);
      case 'pid':
        return await this.#tellOnce(task, { type: 'created' });
      case 'limit':
        await this.#tellOnce(task, { type: 'started' });
        // The owner creates the file; an update replaces it.
        if (moved) await this.#tell(task, { type: 'updated' });
        return;
      case 'cancel':
        return await this.#tellOnce(task, { type: 'stopping', cause: 'cancelled' });
      case 'overdue':
        return await this.#tellOnce(task, { type: 'stopping', cause: 'timed_out' });
      case 'execs':
        // The command that the folder was created for may be in it before the folder is watched.
        if (!this.#watchExecs(task) || namesIn(task.places.execsDir).length === 0) return;
        return await this.#tell(task, { type: 'exec' });
    }
  }

  async #tellRecord(task: WatchedTask): Promise<void> {
    const { record } = task;
    if (record?.exit !== undefined) await this.#tellExit(task, record.exit);
    if (record?.kept) await this.#tellOnce(task, { type: 'kept' });
  }

  async #tellExit(task: WatchedTask, { exitCode, signal }: Omit<TaskExit, 'at'>): Promise<void> {
    if (task.told.has('exited')) return;
    await this.#askForKills(task);
    await this.#tellOnce(task, { type: 'exited', exitCode, signal });
  }

  /** Watches the folder of executed commands. False if there is none, or if it is watched already. */
  #watchExecs(task: WatchedTask): boolean {
    const watch = this.#entries.add(task.places.execsDir);
    if (watch === undefined || watch === task.execsWatch) return false;
    task.execsWatch = watch;
    this.#byWatch.set(watch, task);
    return true;
  }

  /** Reports what happened to a new task before its folder was watched. */
  async #tellState(task: WatchedTask): Promise<void> {
    for (const type of this.#stateOf(task)) await this.#tellOnce(task, { type });
    await this.#tellRecord(task);
  }

  /** Notes what happened to a task before the watch began, which is not reported. */
  #noteState(task: WatchedTask): void {
    for (const type of this.#stateOf(task)) task.told.add(type);
    if (task.record?.exit !== undefined) task.told.add('exited');
    if (task.record?.kept) task.told.add('kept');
    task.oomKills = this.#killsOf(task);
    this.#watchExecs(task);
  }

  #stateOf({ places }: WatchedTask): readonly ('created' | 'started')[] {
    const files = { created: places.pidFile, started: places.limitFile };
    return (['created', 'started'] as const).filter((state) => existsSync(files[state]));
  }

  /** Looks for what no folder shows, and whether the tasks folder is still the same. */
  async #ask(): Promise<void> {
    this.#askAt = performance.now() + ASK_EVERY_MS;
    if (this.#watchFolder()) await this.#compare();
    for (const task of this.#tasks.values()) await this.#askForKills(task);
  }

  async #askForKills(task: WatchedTask): Promise<void> {
    const kills = this.#killsOf(task);
    if (kills <= task.oomKills) return;
    task.oomKills = kills;
    await this.#tell(task, { type: 'oom', kills });
  }

  #killsOf({ record }: WatchedTask): number {
    if (record === undefined || record.kept) return 0;
    return this.#installation.cgroups.readOomKills(record.names.cgroup) ?? 0;
  }

  /** Compares the known tasks with the folder, to find what no event reported. */
  async #compare(): Promise<void> {
    const { layout } = this.#installation;
    const there = new Set(listTaskIds(layout));
    for (const task of [...this.#tasks.values()]) {
      const now = there.has(task.id) ? this.#recordOf(task.id) : undefined;
      if (now !== undefined && now.createdAt === (task.record ?? now).createdAt) {
        task.record = now;
        await this.#tellState(task);
      } else await this.#onGone(task);
    }
    for (const id of there) {
      if (!this.#tasks.has(id)) await this.#onFolder({ name: id, kind: 'appeared' });
    }
  }

  async #tellOnce(task: WatchedTask, happening: TaskHappening): Promise<void> {
    if (task.told.has(happening.type)) return;
    await this.#tell(task, happening);
  }

  async #tell(task: WatchedTask, happening: TaskHappening): Promise<void> {
    task.told.add(happening.type);
    const { id, record } = task;
    const { stack = null, revision = null, tenant = null, labels = {} } = record ?? {};
    const at = new Date().toISOString();
    await this.#options.onEvent({ at, id, ...happening, stack, revision, tenant, labels });
  }
}

/** The exit in the name of a record's temporary file (`replaceRecord`); undefined for any other name. */
export function exitInName(name: string): Omit<TaskExit, 'at'> | undefined {
  const form = /^record\.json\.exit-(?:(\d{1,10})|(SIG[A-Z0-9]{1,8}))\./;
  const [, code, signal] = form.exec(name) ?? [];
  if (signal !== undefined) return { exitCode: null, signal };
  return code === undefined ? undefined : { exitCode: Number(code), signal: null };
}
