/** Parses a tar as its bytes arrive: passes entries and their contents to a sink, and throws for anything that is not a tar. */
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
  /** Takes the next bytes; keeps no reference to bytes that it has passed on. */
  push(chunk: Buffer): void;
  /** Skips the content of the last entry, for a reader that can seek. Returns the number of bytes to skip, padding included. */
  skipContent(): number;
  /** Whether the archive's end marker has begun. */
  isComplete(): boolean;
  /** Ends the input. Throws when the archive is not complete. */
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

interface Parsing {
  readonly policy: ArchivePolicy;
  readonly limits: ArchiveLimits;
  readonly sink: HeaderSink;
  readonly block: Buffer;
  blockFilled: number;
  extensions: Extensions;
  state: State;
  totalBytes: number;
}

const NO_EXTENSIONS: Extensions = { pax: undefined, longPath: undefined, longLink: undefined };
const EXTENSION_TYPES = new Set(['x', 'g', 'L', 'K']);

/** A parser that enforces `limits` and the format; the sink decides which entries are allowed. */
export function createTarParser(
  policy: ArchivePolicy,
  limits: ArchiveLimits,
  sink: HeaderSink,
): TarParser {
  const parsing: Parsing = {
    policy,
    limits,
    sink,
    block: Buffer.alloc(BLOCK_BYTES),
    blockFilled: 0,
    extensions: { ...NO_EXTENSIONS },
    state: { at: 'header' },
    totalBytes: 0,
  };
  return {
    push: (chunk) => {
      parsing.totalBytes += chunk.length;
      if (parsing.totalBytes > limits.bytes) throw toArchiveTooLarge(policy, 'bytes', limits.bytes);
      let rest = chunk;
      while (rest.length > 0) rest = rest.subarray(consume(parsing, rest));
    },
    skipContent: () => {
      const { state } = parsing;
      if (state.at !== 'content') return 0;
      parsing.state = { at: 'header' };
      return state.left + state.padding;
    },
    isComplete: () => parsing.state.at === 'trailer',
    end: () => {
      if (parsing.state.at === 'trailer') return;
      throw toInvalidArchive(policy, 'tar ends before its end marker');
    },
  };
}

/** Handles the start of `bytes` according to the state; returns how many it took. */
function consume(parsing: Parsing, bytes: Buffer): number {
  const { state } = parsing;
  switch (state.at) {
    case 'header':
      return consumeHeader(parsing, bytes);
    case 'extension': {
      const taken = bytes.copy(state.body, state.filled);
      state.filled += taken;
      if (state.filled === state.body.length) endExtension(parsing, state.typeflag, state.body);
      return taken;
    }
    case 'content': {
      const taken = Math.min(state.left, bytes.length);
      state.left -= taken;
      if (state.left === 0) parsing.state = toPadding(state.padding);
      parsing.sink.data(bytes.subarray(0, taken));
      return taken;
    }
    case 'padding': {
      const taken = Math.min(state.left, bytes.length);
      state.left -= taken;
      if (state.left === 0) parsing.state = { at: 'header' };
      return taken;
    }
    case 'trailer':
      if (isZeros(bytes)) return bytes.length;
      throw toInvalidArchive(parsing.policy, 'more bytes follow the end of the tar');
  }
}

function consumeHeader(parsing: Parsing, bytes: Buffer): number {
  const taken = bytes.copy(parsing.block, parsing.blockFilled);
  parsing.blockFilled += taken;
  if (parsing.blockFilled < BLOCK_BYTES) return taken;
  parsing.blockFilled = 0;
  const header = parseTarHeader(parsing.block);
  if (typeof header === 'string') throw toInvalidArchive(parsing.policy, header);
  if (header === undefined) beginTrailer(parsing);
  else if (EXTENSION_TYPES.has(header.typeflag)) beginExtension(parsing, header);
  else beginEntry(parsing, header);
  return taken;
}

function beginTrailer(parsing: Parsing): void {
  const { pax, longPath, longLink } = parsing.extensions;
  if (pax !== undefined || longPath !== undefined || longLink !== undefined) {
    throw toInvalidArchive(parsing.policy, 'extension header without an entry');
  }
  parsing.state = { at: 'trailer' };
}

function beginExtension(parsing: Parsing, header: TarHeader): void {
  const { limits, policy } = parsing;
  if (header.size > limits.headerBytes) {
    throw toArchiveTooLarge(policy, 'bytes in an extension header', limits.headerBytes);
  }
  if (header.size === 0) throw toInvalidArchive(policy, 'extension header is empty');
  const body = Buffer.alloc(header.size);
  parsing.state = { at: 'extension', typeflag: header.typeflag, body, filled: 0 };
}

function endExtension(parsing: Parsing, typeflag: string, body: Buffer): void {
  const { extensions, policy } = parsing;
  parsing.state = toPadding(paddingOf(body.length));
  if (typeflag === 'L' || typeflag === 'K') {
    const field = typeflag === 'L' ? 'longPath' : 'longLink';
    if (extensions[field] !== undefined) throw toInvalidArchive(policy, 'two long names in a row');
    extensions[field] = parseLongName(policy, body);
    return;
  }
  const records = parsePaxRecords(body);
  if (typeof records === 'string') throw toInvalidArchive(policy, records);
  if (typeflag === 'g') {
    // `git archive` writes a comment; every tar program reads a global path or size differently.
    for (const key of records.keys()) {
      if (key !== 'comment') {
        throw toInvalidArchive(policy, `global PAX record ${JSON.stringify(key.slice(0, 80))}`);
      }
    }
    return;
  }
  if (extensions.pax !== undefined) throw toInvalidArchive(policy, 'two PAX headers in a row');
  extensions.pax = records;
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

function beginEntry(parsing: Parsing, header: TarHeader): void {
  const entry = resolveTarEntry(header, parsing.extensions);
  if (typeof entry === 'string') {
    throw toInvalidArchive(parsing.policy, entry, parsing.extensions.longPath ?? header.path);
  }
  parsing.extensions = { ...NO_EXTENSIONS };
  parsing.state =
    entry.size === 0
      ? { at: 'header' }
      : { at: 'content', left: entry.size, padding: paddingOf(entry.size) };
  parsing.sink.entry(entry, header.size);
}

const toPadding = (left: number): State =>
  left === 0 ? { at: 'header' } : { at: 'padding', left };
