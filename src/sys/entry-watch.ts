/** Watches the entries of many folders through one descriptor: inotify(7). The kernel queues events in order until they are read. */
import { readSync } from 'node:fs';
import { unlessMissing } from '../core/errors.ts';
import { invoke, invokeUnless } from './invoke.ts';
import { countWaiting } from './linux-streams.ts';
import type { Fd } from './system.ts';

const IN_NONBLOCK_CLOEXEC = 0x8_0800;
const [IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE] = [0x40, 0x80, 0x100, 0x200];
const [IN_Q_OVERFLOW, IN_IGNORED] = [0x4000, 0x8000];
/** Refuses a link, and anything but a folder. */
const IN_ONLYDIR_DONT_FOLLOW = 0x100_0000 | 0x200_0000;
const WATCHED = IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_ONLYDIR_DONT_FOLLOW;
const INOTIFY_RM_WATCH = process.arch === 'arm64' ? 28 : 255;

/** Identifies a watched folder. */
export type WatchId = number;

/** `lost`: the kernel's queue was full, so later events are missing. This event has no folder and no name. */
export interface EntryEvent {
  readonly watch: WatchId;
  readonly kind: 'appeared' | 'disappeared' | 'lost';
  readonly name: string;
  /** Whether the entry was renamed, not created or removed. */
  readonly moved: boolean;
}

/** Room for a few hundred events. */
const READ_BYTES = 65_536;
const HEADER_BYTES = 16;

export class EntryWatch {
  readonly #fd: Fd = invoke({ name: 'inotify_init1' }, 'inotify_init1', IN_NONBLOCK_CLOEXEC);
  readonly #buffer = Buffer.alloc(READ_BYTES);

  /** Undefined if the folder does not exist. Throws a `SystemError` if the kernel refuses, for example because there are too many watches. */
  add(folder: string): WatchId | undefined {
    const as = { name: 'inotify_add_watch', subject: folder };
    return unlessMissing(() => invoke(as, 'inotify_add_watch', this.#fd, folder, WATCHED));
  }

  /** Unread events of the folder are still reported. */
  remove(watch: WatchId): void {
    // EINVAL: the folder is gone, and the watch with it.
    const as = { name: 'inotify_rm_watch' };
    invokeUnless(['EINVAL'], as, 'syscall', INOTIFY_RM_WATCH, this.#fd, watch);
  }

  /** The events since the last call that fit into one read; empty if there are none. Does not wait. */
  read(): readonly EntryEvent[] {
    // Check first: when nothing waits, an EAGAIN error would cost more than this check.
    const length = countWaiting(this.#fd) === 0 ? 0 : readSync(this.#fd, this.#buffer);
    const events: EntryEvent[] = [];
    for (let at = 0; at < length; ) {
      // struct inotify_event: wd, mask, cookie, length of the name; then the name, padded with NUL.
      const watch = this.#buffer.readInt32LE(at);
      const mask = this.#buffer.readUInt32LE(at + 4);
      const end = at + HEADER_BYTES + this.#buffer.readUInt32LE(at + 12);
      const name = this.#buffer.toString('utf8', at + HEADER_BYTES, end).replace(/\0+$/, '');
      if ((mask & IN_IGNORED) === 0) events.push({ watch, name, ...toKind(mask) });
      at = end;
    }
    return events;
  }

  close(): void {
    invoke({ name: 'close' }, 'close', this.#fd);
  }
}

function toKind(mask: number): Pick<EntryEvent, 'kind' | 'moved'> {
  const moved = (mask & (IN_MOVED_FROM | IN_MOVED_TO)) !== 0;
  if ((mask & IN_Q_OVERFLOW) !== 0) return { kind: 'lost', moved };
  return { kind: (mask & (IN_CREATE | IN_MOVED_TO)) === 0 ? 'disappeared' : 'appeared', moved };
}
