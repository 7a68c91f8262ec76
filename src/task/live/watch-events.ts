/**
 * Tells what happens to all tasks of the installation, without asking their owners: inotify(7) reports the entries of the tasks folder and of
 * each task's own folder, by name and in order. What is known only by reading a file may be gone by then, so most is told by names.
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

/** The task that something happened to, according to its record. Null: the record was gone before it could be read. */
interface EventTask {
  /** ISO 8601, UTC: when it was noticed. */
  readonly at: string;
  readonly id: TaskId;
  readonly stack: StackName | null;
  readonly revision: number | null;
  readonly tenant: TenantName | null;
  readonly labels: Readonly<Record<string, string>>;
}

/** What happened to a task. */
type TaskHappening =
  /** It has a record. */
  | { readonly type: 'accepted' }
  /** Its container exists. */
  | { readonly type: 'created' }
  /** Its command runs. */
  | { readonly type: 'started' }
  | { readonly type: 'paused' }
  | { readonly type: 'unpaused' }
  /** It has new limits. */
  | { readonly type: 'updated' }
  /** A further command is executed in it. */
  | { readonly type: 'exec' }
  /** The kernel killed processes of it for lack of memory; `kills`: how many so far. */
  | { readonly type: 'oom'; readonly kills: number }
  /** Another process than its owner asks for its end: somebody (`cancelled`), or because its time is over (`timed_out`). */
  | { readonly type: 'stopping'; readonly cause: 'cancelled' | 'timed_out' }
  | { readonly type: 'exited'; readonly exitCode: number | null; readonly signal: string | null }
  /** It has ended, and its files stay. */
  | { readonly type: 'kept' }
  | { readonly type: 'removed' };

/** What happened: to a task, or (`lost`) that the kernel had to drop events because nobody read them in time. */
export type InstallationEvent =
  | (EventTask & TaskHappening)
  | { readonly type: 'lost'; readonly at: string };

/** Who listens to events, and until when. */
export interface WatchEventsOptions {
  /** After an abort, no further event is told, and the promise resolves. */
  readonly signal: AbortSignal;
  /** Called once: what happens from now on is told. */
  readonly onReady?: () => void;
  /**
   * Called with one event after the other. A promise that it returns is awaited; meanwhile the kernel holds up to 16,384 changes, which is
   * all the memory that a slow listener costs.
   */
  readonly onEvent: (event: InstallationEvent) => void | Promise<void>;
}

/** Short enough that a task's folder is watched before its container exists. A look that finds nothing costs some microseconds. */
const LOOK_EVERY_MS = 10;
/** How often to ask for what no folder tells. */
const ASK_EVERY_MS = 1_000;

/**
 * Tells events until `signal` aborts. Tasks that exist already are watched, too; nothing is told of their past. Rejects if the tasks folder
 * cannot be watched, or with what `onEvent` throws. Needs root. Any number of processes may watch.
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

  /** Watches the current tasks folder: somebody may have removed it, and another process made it again. */
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
    // A known task appeared between the first look at the folder and the list of its tasks.
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
        // Its owner creates the file; an update replaces it.
        if (moved) await this.#tell(task, { type: 'updated' });
        return;
      case 'cancel':
        return await this.#tellOnce(task, { type: 'stopping', cause: 'cancelled' });
      case 'overdue':
        return await this.#tellOnce(task, { type: 'stopping', cause: 'timed_out' });
      case 'execs':
        // The folder is made for a command, which may be in it before it is watched.
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

  /** Watches the folder of executed commands. False: there is no folder, or it is watched already. */
  #watchExecs(task: WatchedTask): boolean {
    const watch = this.#entries.add(task.places.execsDir);
    if (watch === undefined || watch === task.execsWatch) return false;
    task.execsWatch = watch;
    this.#byWatch.set(watch, task);
    return true;
  }

  /** What had happened to the task before its folder was watched. */
  async #tellState(task: WatchedTask): Promise<void> {
    for (const type of this.#stateOf(task)) await this.#tellOnce(task, { type });
    await this.#tellRecord(task);
  }

  /** Of tasks that exist when the watch begins, nothing is told that happened before. */
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

  /** Asks for what no folder tells, and looks whether the tasks folder is still the same. */
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

  /** Finds by comparison what no event told. */
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
