/** Parses a tar as its bytes arrive: passes entries and contents to a sink, and throws for anything that is not a tar. */
import type { StackshimError } from '../core/errors.ts';
import type { ArchiveLimits } from './archive-limits.ts';
import { type ArchivePolicy, toArchiveTooLarge, toInvalidArchive } from './archive-policy.ts';
import { parsePaxRecords } from './parse-pax-records.ts';
import {
  BLOCK_BYTES,
  isZeros,
  paddingOf,
  parseTarHeader,
  type TarHeader,
} from './parse-tar-header.ts';
import { type Extensions, resolveTarEntry } from './resolve-tar-entry.ts';
import type { ByteString, EntrySink, TarEntry } from './tar-entry.ts';

export interface TarParser {
  /** Takes the next bytes; keeps no reference to bytes it passed on. */
  push(chunk: Buffer): void;
  /** Skips the last entry's content, for a reader that can seek. Returns the number of bytes to skip, padding included. */
  skipContent(): number;
  /** Whether the archive's end marker has begun. */
  isComplete(): boolean;
  /** Ends the input. Throws if the archive is not complete. */
  end(): void;
}

/** An {@link EntrySink} that also gets the size in the header itself, which a PAX record may override. */
export interface HeaderSink extends Pick<EntrySink, 'data'> {
  entry(entry: TarEntry, headerSize: number): void;
}

type State =
  | { readonly at: 'header' }
  | { readonly at: 'extension'; readonly typeflag: string; readonly body: Buffer; filled: number }
  | { readonly at: 'content'; left: number; readonly padding: number }
  | { readonly at: 'padding'; left: number }
  | { readonly at: 'trailer' };

const NO_EXTENSIONS: Extensions = { pax: undefined, longPath: undefined, longLink: undefined };
const EXTENSION_TYPES = new Set(['x', 'g', 'L', 'K']);

/** A parser that enforces `limits` and the format; the sink decides on entries. */
export const createTarParser = (
  policy: ArchivePolicy,
  limits: ArchiveLimits,
  sink: HeaderSink,
): TarParser => new Parser(policy, limits, sink);

class Parser implements TarParser {
  readonly #policy: ArchivePolicy;
  readonly #limits: ArchiveLimits;
  readonly #sink: HeaderSink;
  readonly #block = Buffer.alloc(BLOCK_BYTES);
  #blockFilled = 0;
  #extensions: Extensions = { ...NO_EXTENSIONS };
  #state: State = { at: 'header' };
  #totalBytes = 0;

  constructor(policy: ArchivePolicy, limits: ArchiveLimits, sink: HeaderSink) {
    this.#policy = policy;
    this.#limits = limits;
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    const { bytes } = this.#limits;
    this.#totalBytes += chunk.length;
    if (this.#totalBytes > bytes) throw toArchiveTooLarge(this.#policy, 'bytes', bytes);
    let rest = chunk;
    while (rest.length > 0) rest = rest.subarray(this.#consume(rest));
  }

  skipContent(): number {
    const state = this.#state;
    if (state.at !== 'content') return 0;
    this.#state = { at: 'header' };
    return state.left + state.padding;
  }

  isComplete(): boolean {
    return this.#state.at === 'trailer';
  }

  end(): void {
    if (!this.isComplete()) throw this.#toInvalid('tar ends before its end marker');
  }

  /** Handles the start of `bytes` in the current state; returns how many it took. */
  #consume(bytes: Buffer): number {
    const state = this.#state;
    switch (state.at) {
      case 'header':
        return this.#consumeHeader(bytes);
      case 'extension': {
        const taken = bytes.copy(state.body, state.filled);
        state.filled += taken;
        if (state.filled === state.body.length) this.#endExtension(state.typeflag, state.body);
        return taken;
      }
      case 'content': {
        const taken = Math.min(state.left, bytes.length);
        state.left -= taken;
        if (state.left === 0) this.#state = toPadding(state.padding);
        this.#sink.data(bytes.subarray(0, taken));
        return taken;
      }
      case 'padding': {
        const taken = Math.min(state.left, bytes.length);
        state.left -= taken;
        if (state.left === 0) this.#state = { at: 'header' };
        return taken;
      }
      case 'trailer':
        if (isZeros(bytes)) return bytes.length;
        throw this.#toInvalid('more bytes follow the end of the tar');
    }
  }

  #consumeHeader(bytes: Buffer): number {
    const taken = bytes.copy(this.#block, this.#blockFilled);
    this.#blockFilled += taken;
    if (this.#blockFilled < BLOCK_BYTES) return taken;
    this.#blockFilled = 0;
    const header = parseTarHeader(this.#block);
    if (typeof header === 'string') throw this.#toInvalid(header);
    if (header === undefined) this.#beginTrailer();
    else if (EXTENSION_TYPES.has(header.typeflag)) this.#beginExtension(header);
    else this.#beginEntry(header);
    return taken;
  }

  #beginTrailer(): void {
    if (Object.values(this.#extensions).some((extension) => extension !== undefined)) {
      throw this.#toInvalid('extension header without an entry');
    }
    this.#state = { at: 'trailer' };
  }

  #beginExtension({ size, typeflag }: TarHeader): void {
    const { headerBytes } = this.#limits;
    if (size > headerBytes) {
      throw toArchiveTooLarge(this.#policy, 'bytes in an extension header', headerBytes);
    }
    if (size === 0) throw this.#toInvalid('extension header is empty');
    this.#state = { at: 'extension', typeflag, body: Buffer.alloc(size), filled: 0 };
  }

  #endExtension(typeflag: string, body: Buffer): void {
    const extensions = this.#extensions;
    this.#state = toPadding(paddingOf(body.length));
    if (typeflag === 'L' || typeflag === 'K') {
      const field = typeflag === 'L' ? 'longPath' : 'longLink';
      if (extensions[field] !== undefined) throw this.#toInvalid('two long names in a row');
      extensions[field] = parseLongName(this.#policy, body);
      return;
    }
    const records = parsePaxRecords(body);
    if (typeof records === 'string') throw this.#toInvalid(records);
    if (typeflag === 'g') {
      // `git archive` writes a comment; tar programs disagree on a global path or size.
      const other = [...records.keys()].find((key) => key !== 'comment');
      if (other === undefined) return;
      throw this.#toInvalid(`global PAX record ${JSON.stringify(other.slice(0, 80))}`);
    }
    if (extensions.pax !== undefined) throw this.#toInvalid('two PAX headers in a row');
    extensions.pax = records;
  }

  #beginEntry(header: TarHeader): void {
    const entry = resolveTarEntry(header, this.#extensions);
    if (typeof entry === 'string') {
      throw this.#toInvalid(entry, this.#extensions.longPath ?? header.path);
    }
    this.#extensions = { ...NO_EXTENSIONS };
    this.#state =
      entry.size === 0
        ? { at: 'header' }
        : { at: 'content', left: entry.size, padding: paddingOf(entry.size) };
    this.#sink.entry(entry, header.size);
  }

  #toInvalid(reason: string, path?: ByteString): StackshimError {
    return toInvalidArchive(this.#policy, reason, path);
  }
}

function parseLongName(policy: ArchivePolicy, body: Buffer): ByteString {
  const end = body.indexOf(0);
  const name = end === -1 ? body : body.subarray(0, end);
  if (name.length === 0) throw toInvalidArchive(policy, 'long name is empty');
  if (end !== -1 && !isZeros(body.subarray(end))) {
    throw toInvalidArchive(policy, 'long name holds a NUL');
  }
  return name.toString('latin1');
}

const toPadding = (left: number): State =>
  left === 0 ? { at: 'header' } : { at: 'padding', left };
