/** Looks at a task's disk space while the task runs, and reports when it is full. */
import { freeBytesAt } from '../../sys/files.ts';
import type { DiskSample, TaskDisk } from './task-disk.ts';

/** The findings about a task's disk space. */
export interface DiskReport {
  readonly peakBytes: number;
  readonly peakInodes: number;
  /** Whether any look found it full. */
  readonly wasFull: boolean;
  /** Whether any look found the host's own disk full. */
  readonly wasHostFull: boolean;
}

export interface DiskWatchOptions {
  /** A folder on the filesystem that all tasks share. */
  readonly hostFolder: string;
  /** Called once, when a look first finds the space full. */
  readonly onFull: () => void;
}

const FIRST_LOOK_MS = 25;
const SOONEST_MS = 10;
const LATEST_MS = 1000;
/** How many looks to make before the space would be full at the current pace. */
const LOOKS_AHEAD = 4;
/** A slow look is made less often: looks may take one part in this many of the time. */
const SHARE = 20;
/** A filesystem with less free space counts as full. */
const FULL_BELOW_BYTES = 1024 * 1024;

interface Look {
  readonly at: number;
  /** The used share of the limit on bytes or on inodes, whichever is larger. */
  readonly share: number;
}

export class DiskWatch {
  readonly #disk: TaskDisk;
  readonly #options: DiskWatchOptions;
  readonly #report = { peakBytes: 0, peakInodes: 0, wasFull: false, wasHostFull: false };
  #last: Look | undefined;
  #delayMs = FIRST_LOOK_MS;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #hasEnded = false;

  constructor(disk: TaskDisk, options: DiskWatchOptions) {
    this.#disk = disk;
    this.#options = options;
  }

  start(): void {
    // A look may fail when descriptors run out: the next look retries.
    this.#looking = this.#look().catch(() => undefined);
    void this.#looking.then(() => this.#arm());
  }

  /** Looks a last time; call it before anything is removed. Rejects if that look fails. */
  async finish(): Promise<DiskReport> {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    await this.#looking;
    await this.#look();
    return this.#report;
  }

  #arm(): void {
    if (this.#hasEnded) return;
    this.#timer = setTimeout(() => this.start(), this.#delayMs);
  }

  async #look(): Promise<void> {
    const began = performance.now();
    const measured = this.#disk.measure();
    const sample = measured instanceof Promise ? await measured : measured;
    this.#note(sample);
    const now = performance.now();
    this.#plan({ at: now, share: this.#shareOf(sample) }, (now - began) * SHARE);
  }

  #note({ bytes, inodes, isFull }: DiskSample): void {
    const report = this.#report;
    report.peakBytes = Math.max(report.peakBytes, bytes);
    report.peakInodes = Math.max(report.peakInodes, inodes);
    if (freeBytesAt(this.#options.hostFolder) < FULL_BELOW_BYTES) report.wasHostFull = true;
    if (!isFull || report.wasFull) return;
    report.wasFull = true;
    this.#options.onFull();
  }

  #plan(look: Look, leastMs: number): void {
    const last = this.#last;
    this.#last = look;
    if (last === undefined) return;
    const grown = look.share - last.share;
    const untilFullMs = ((1 - look.share) / grown) * (look.at - last.at);
    const wanted = grown > 0 ? untilFullMs / LOOKS_AHEAD : this.#delayMs * 2;
    this.#delayMs = Math.max(leastMs, Math.min(LATEST_MS, Math.max(SOONEST_MS, wanted)));
  }

  #shareOf({ bytes, inodes }: DiskSample): number {
    const { limit } = this.#disk;
    return Math.max(bytes / limit.bytes, inodes / limit.inodes);
  }
}
