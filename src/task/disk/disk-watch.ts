import { freeBytesAt } from '../../sys/files.ts';
import type { DiskSample, TaskDisk } from './task-disk.ts';

/** What the looks at a task's disk space have shown. */
export interface DiskReport {
  readonly peakBytes: number;
  readonly peakInodes: number;
  /** It was full at one of them. */
  readonly wasFull: boolean;
  /** The host's own disk was. */
  readonly wasHostFull: boolean;
}

export interface DiskWatchOptions {
  /** A folder on the filesystem that all tasks share. */
  readonly hostFolder: string;
  /** Called once, at the first look that finds the space full. */
  readonly onFull: () => void;
}

const FIRST_LOOK_MS = 25;
const SOONEST_MS = 10;
const LATEST_MS = 1000;
/** Looks until the space would be full, at the pace since the last one. */
const LOOKS_AHEAD = 4;
/** A look that takes long is taken rarely: it has this share of the time. */
const SHARE = 20;
/** Less than this cannot take a write of any size. */
const NOTHING_BYTES = 1024 * 1024;

interface Look {
  readonly at: number;
  /** Of the limit, in bytes or in inodes, whichever is nearer. */
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

  /** Looks once more; call it before anything is removed. Rejects when that fails. */
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
    if (freeBytesAt(this.#options.hostFolder) < NOTHING_BYTES) report.wasHostFull = true;
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
