/** What the result says about one output. */
import type { ByteString } from '../../archive/tar-entry.ts';
import type { ErrorJson, StackshimError } from '../../core/errors.ts';
import type { LeftOutReason } from './left-out.ts';

/** `complete`: everything was taken. `partial`: some was left out. `missing`: the source names nothing. `failed`: the destination is not writable. */
export type OutputState = 'complete' | 'partial' | 'missing' | 'failed';

/** An entry that a source names. */
export interface TakenEntry {
  /** Path in the task. */
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'link';
}

/** An entry that was not taken, and why. */
export interface LeftOutEntry {
  /** Path in the task. */
  readonly path: string;
  readonly reason: LeftOutReason;
}

/** The outcome of one output. In a path that is not valid UTF-8, each non-ASCII byte is shown as `\xHH`. */
export interface TakenOutput {
  /** As requested. */
  readonly source: string;
  /** The path on the host, or `-`. */
  readonly destination: string;
  readonly state: OutputState;
  /** Numbers of taken entries, with those inside folders. */
  readonly files: number;
  readonly folders: number;
  readonly links: number;
  /** Bytes of file contents, without the holes of sparse files; a file with several names counts once. */
  readonly bytes: number;
  /** The taken entries that the source names: the first 1,000, fewer if their names are long. */
  readonly taken: readonly TakenEntry[];
  /** The entries that were left out, also inside folders: the first 1,000, fewer if their names are long. */
  readonly leftOut: readonly LeftOutEntry[];
  readonly leftOutCount: number;
  /** Why the destination could not be written; otherwise null. */
  readonly error: ErrorJson | null;
}

const MOST_LISTED = 1000;
/** Bounds the listed paths. The task chooses names: a few thousand deep paths would fill the memory, and no reader of results would take them. */
const MOST_CHARS = 500_000;

/** The characters of paths that may still be listed, in all outputs of a task together. */
export const listingRoom = () => ({ chars: MOST_CHARS });

export class OutputReport {
  readonly #source: string;
  readonly #destination: string;
  readonly #room: { chars: number };
  readonly #counts = { file: 0, folder: 0, link: 0 };
  readonly #taken: TakenEntry[] = [];
  readonly #leftOut: LeftOutEntry[] = [];
  #leftOutCount = 0;
  #error: StackshimError | undefined;
  #hasFound = false;

  constructor(source: string, destination: string, room = listingRoom()) {
    this.#source = source;
    this.#destination = destination;
    this.#room = room;
  }

  get hasFound(): boolean {
    return this.#hasFound;
  }

  /** Notes that the source names an entry. */
  found(): void {
    this.#hasFound = true;
  }

  taken(kind: TakenEntry['kind']): void {
    this.#counts[kind] += 1;
  }

  /** Lists a taken entry that the source names. */
  took(path: ByteString, kind: TakenEntry['kind']): void {
    const shown = this.#list(path, this.#taken);
    if (shown !== undefined) this.#taken.push({ path: shown, kind });
  }

  leftOut(path: ByteString, reason: LeftOutReason): void {
    this.#leftOutCount += 1;
    const shown = this.#list(path, this.#leftOut);
    if (shown !== undefined) this.#leftOut.push({ path: shown, reason });
  }

  /** The path as shown; undefined if the list has no room for it. */
  #list(path: ByteString, list: readonly unknown[]): string | undefined {
    if (list.length >= MOST_LISTED) return undefined;
    const shown = showName(path);
    if (shown.length > this.#room.chars) return undefined;
    this.#room.chars -= shown.length;
    return shown;
  }

  get takenCount(): number {
    const { file, folder, link } = this.#counts;
    return file + folder + link;
  }

  failed(error: StackshimError): void {
    this.#error ??= error;
  }

  finish(bytes: number): TakenOutput {
    const { file, folder, link } = this.#counts;
    return {
      source: this.#source,
      destination: this.#destination,
      state: this.#state(),
      files: file,
      folders: folder,
      links: link,
      bytes,
      taken: this.#taken,
      leftOut: this.#leftOut,
      leftOutCount: this.#leftOutCount,
      error: this.#error?.toJSON() ?? null,
    };
  }

  #state(): OutputState {
    if (this.#error !== undefined) return 'failed';
    if (!this.#hasFound) return 'missing';
    return this.#leftOutCount > 0 ? 'partial' : 'complete';
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The path as text; if it is not valid UTF-8, each non-ASCII byte becomes `\xHH`. */
function showName(name: ByteString): string {
  const bytes = Buffer.from(name, 'latin1');
  try {
    return utf8.decode(bytes);
  } catch {
    return name.replace(
      /[\x80-\xff]/g,
      (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`,
    );
  }
}
