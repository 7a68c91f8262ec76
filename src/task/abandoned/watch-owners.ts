/** Reaps an owner's tasks as soon as the owner has died; until then enforces their time limits. inotify(7) reports tasks, pidfds deaths. */
import { readSync, statSync } from 'node:fs';
import { unlessFailed } from '../../core/errors.ts';
import { isTaskId, type TaskId } from '../../core/ids.ts';
import { tasksDir } from '../../core/layout.ts';
import { ensureDirectorySync } from '../../sys/files.ts';
import { bootId, isOwnerAlive, type Owner } from '../../sys/processes.ts';
import type { Fd } from '../../sys/system.ts';
import type { Installation } from '../installation.ts';
import { readRecord, taskFolderNames, UNREADABLE } from '../records/read-record.ts';
import { parseUnfinishedName } from '../records/record.ts';
import { holdLimits, LIMIT_LOOK_MS } from './hold-limits.ts';
import { type ReapReport, reapTasks, reapTasksOf } from './reap.ts';

export interface WatchOwnersOptions {
  /** After an abort, the promise resolves once the running reaps have finished. */
  readonly signal: AbortSignal;
  /** Called when something was reaped. Each sweep reports damaged records again. */
  readonly onReport: (report: ReapReport) => void;
}

/** Most tasks begin and end between two looks, and cost nothing. This leaves most of a second for the removal that follows. */
const LOOK_INTERVAL_MS = 100;
/** Sweeps retry failed removals, and find what no event reported. */
const SWEEP_INTERVAL_MS = 60_000;
const READY_AT_ONCE = 256;

/**
 * Watches until `signal` aborts, then resolves. Rejects if the tasks folder cannot be watched or read. Any number of
 * processes may watch. Needs root, and one descriptor per living owner. Creates the tasks folder if it is missing.
 */
export async function watchOwners(
  installation: Installation,
  options: WatchOwnersOptions,
): Promise<void> {
  await new OwnerWatch(installation, options).run();
}

interface WatchedOwner {
  readonly owner: Owner;
  /** The owner's tasks at the last look. */
  readonly ids: Set<TaskId>;
}

class OwnerWatch {
  readonly #installation: Installation;
  readonly #options: WatchOwnersOptions;
  readonly #epoll: Fd;
  readonly #lookAtLimits: (ids: Iterable<TaskId>) => void;
  readonly #owners = new Map<Fd, WatchedOwner>();
  readonly #byTask = new Map<TaskId, WatchedOwner>();
  readonly #byName = new Map<string, WatchedOwner>();
  readonly #reaping = new Set<Promise<void>>();
  #folder: { readonly fd: Fd; readonly identity: string | undefined } | undefined;
  /** Names in the tasks folder at the last look. */
  #names: ReadonlySet<string> = new Set();
  #fail: (error: unknown) => void = () => undefined;

  constructor(installation: Installation, options: WatchOwnersOptions) {
    this.#installation = installation;
    this.#options = options;
    this.#epoll = installation.system.createEpoll();
    this.#lookAtLimits = holdLimits(installation);
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    const timers: NodeJS.Timeout[] = [];
    try {
      await new Promise<void>((resolve, reject) => {
        this.#fail = reject;
        if (signal.aborted) return resolve();
        signal.addEventListener('abort', () => resolve(), { once: true });
        this.#sweep();
        const every = (act: () => void, intervalMs: number) =>
          timers.push(
            setInterval(() => {
              try {
                act();
              } catch (error) {
                reject(error);
              }
            }, intervalMs),
          );
        every(() => this.#look(), LOOK_INTERVAL_MS);
        every(() => this.#lookAtLimits(this.#byTask.keys()), LIMIT_LOOK_MS);
        every(() => this.#sweep(), SWEEP_INTERVAL_MS);
      });
    } finally {
      timers.forEach(clearInterval);
      await Promise.all(this.#reaping);
      const { system } = this.#installation;
      if (this.#folder !== undefined) system.close(this.#folder.fd);
      for (const pidfd of this.#owners.keys()) system.close(pidfd);
      system.close(this.#epoll);
    }
  }

  /** Checks everything, whether an event reported it or not. */
  #sweep(): void {
    this.#watchFolder();
    this.#lookAtFolder();
    this.#reap(() => reapTasks(this.#installation));
  }

  /** Watches the current tasks folder: somebody may have removed the watched one, and another process created it again. */
  #watchFolder(): void {
    const { layout, system } = this.#installation;
    const path = tasksDir(layout);
    ensureDirectorySync(path, 0o711);
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    // The birth time, too: a new folder may get the inode number of the old one.
    const identity = stat && `${stat.ino}-${stat.birthtimeNs}`;
    if (this.#folder?.identity === identity) return;
    if (this.#folder !== undefined) system.close(this.#folder.fd);
    this.#folder = { fd: system.watchFolder(path), identity };
    system.addToEpoll(this.#epoll, this.#folder.fd);
  }

  #look(): void {
    const ready = this.#installation.system.pollEpoll(this.#epoll, READY_AT_ONCE);
    if (this.#folder !== undefined && ready.includes(this.#folder.fd)) {
      const changed = changedNames(this.#folder.fd);
      this.#watchFolder();
      this.#lookAtFolder(changed);
    }
    for (const fd of ready) this.#onOwnerEnd(fd);
    // A pidfd reports only the end of a whole process, so check threads separately.
    for (const [fd, { owner }] of this.#owners) {
      if (owner.thread !== undefined && !isOwnerAlive(owner)) this.#onOwnerEnd(fd);
    }
  }

  /** Compares the folder with its last known state, because events may be lost. A name in `changed` may belong to a new task. */
  #lookAtFolder(changed: ReadonlySet<string> = new Set()): void {
    const before = this.#names;
    this.#names = new Set(taskFolderNames(this.#installation.layout));
    for (const name of before) {
      if (changed.has(name) || !this.#names.has(name)) this.#forget(name);
    }
    for (const name of this.#names) {
      if (changed.has(name) || !before.has(name)) this.#lookAt(name);
    }
  }

  #forget(name: string): void {
    if (!isTaskId(name)) return;
    this.#byTask.get(name)?.ids.delete(name);
    this.#byTask.delete(name);
  }

  #lookAt(name: string): void {
    const unfinished = parseUnfinishedName(name);
    if (unfinished !== undefined && unfinished.pid !== process.pid) {
      this.#watchOwner({ ...unfinished, bootId: bootId() });
    }
    if (!isTaskId(name)) return;
    // A sweep reports an unreadable record.
    const record = unlessFailed(() => readRecord(this.#installation.layout, name), UNREADABLE);
    if (record !== undefined && !record.kept) this.#watchOwner(record.owner, name);
  }

  #watchOwner(owner: Owner, id?: TaskId): void {
    const known = this.#byName.get(nameOf(owner)) ?? this.#open(owner);
    if (known === undefined) {
      this.#reap(() => reapTasksOf(this.#installation, owner, id === undefined ? [] : [id]));
    } else if (id !== undefined) {
      known.ids.add(id);
      this.#byTask.set(id, known);
    }
  }

  /** Undefined if the owner is already dead. */
  #open(owner: Owner): WatchedOwner | undefined {
    const { system } = this.#installation;
    if (!isOwnerAlive(owner)) return undefined;
    const pidfd = unlessFailed(() => system.openPidfd(owner.pid), ['ESRCH']);
    if (pidfd === undefined) return undefined;
    // Check again: the owner was alive after the pidfd was opened, so the pid had not passed to another process.
    if (!isOwnerAlive(owner)) {
      system.close(pidfd);
      return undefined;
    }
    system.addToEpoll(this.#epoll, pidfd);
    const opened: WatchedOwner = { owner, ids: new Set() };
    this.#owners.set(pidfd, opened);
    this.#byName.set(nameOf(owner), opened);
    return opened;
  }

  #onOwnerEnd(pidfd: Fd): void {
    const dead = this.#owners.get(pidfd);
    if (dead === undefined) return;
    this.#owners.delete(pidfd);
    this.#byName.delete(nameOf(dead.owner));
    for (const id of dead.ids) this.#byTask.delete(id);
    this.#installation.system.close(pidfd);
    this.#reap(() => reapTasksOf(this.#installation, dead.owner, [...dead.ids]));
  }

  #reap(act: () => Promise<ReapReport>): void {
    const reaping = act()
      .then((report) => {
        if (report.reaped.length + report.corrupt.length > 0) this.#options.onReport(report);
      })
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#reaping.delete(reaping));
    this.#reaping.add(reaping);
  }
}

/** The names in all pending events. */
function changedNames(fd: Fd): ReadonlySet<string> {
  const names = new Set<string>();
  const events = Buffer.alloc(65_536);
  // EAGAIN: no event is pending.
  const read = () => unlessFailed(() => readSync(fd, events), ['EAGAIN']) ?? 0;
  for (let length = read(); length > 0; length = read()) {
    for (let at = 0; at < length; ) {
      // struct inotify_event: wd, mask, cookie, length of the name; then the name, padded with NUL.
      const end = at + 16 + events.readUInt32LE(at + 12);
      names.add(events.toString('utf8', at + 16, end).replace(/\0+$/, ''));
      at = end;
    }
  }
  return names;
}

const nameOf = ({ pid, startTime, bootId: boot, thread }: Owner) =>
  [pid, startTime, boot, ...(thread === undefined ? [] : [thread.pid, thread.startTime])].join('-');
