/** The output of a task as rows of its job's log. Pure but for the state of the pieces. */
import { decodeStorable } from '../job/storable.ts';

export type LogStream = 'out' | 'err';

/** A row is one line of JSON. `d` is text, `b` is base64 of bytes that are not UTF-8, `t` is in milliseconds since 1970. */
export interface LogRow {
  readonly a: number;
  readonly t: number;
  readonly s: LogStream;
  readonly d?: string;
  readonly b?: string;
}

/** The most bytes of output in one row. */
export const ROW_BYTES = 16_384;

interface Piece {
  readonly stream: LogStream;
  readonly atMs: number;
  readonly chunks: Uint8Array[];
  bytes: number;
}

/** Collects output until it is taken as rows. Consecutive output of one stream shares a row; a character is never split. */
export class LogRows {
  readonly #attempt: number;
  #pieces: Piece[] = [];
  #bytes = 0;
  /** The first bytes of an incomplete character. */
  readonly #begun: Record<LogStream, Uint8Array> = {
    out: new Uint8Array(0),
    err: new Uint8Array(0),
  };

  constructor(attempt: number) {
    this.#attempt = attempt;
  }

  /** The number of bytes waiting to be taken. */
  get bytes(): number {
    return this.#bytes;
  }

  add(stream: LogStream, chunk: Uint8Array, atMs: number): void {
    for (let at = 0; at < chunk.length; ) {
      const piece = this.#pieceFor(stream, atMs);
      const part = chunk.slice(at, at + ROW_BYTES - piece.bytes);
      piece.chunks.push(part);
      piece.bytes += part.length;
      at += part.length;
    }
    this.#bytes += chunk.length;
  }

  #pieceFor(stream: LogStream, atMs: number): Piece {
    const last = this.#pieces.at(-1);
    if (last?.stream === stream && last.bytes < ROW_BYTES) return last;
    const piece: Piece = { stream, atMs, chunks: [], bytes: 0 };
    this.#pieces.push(piece);
    return piece;
  }

  /** @param isLast No more output follows, so the bytes of incomplete characters are taken, too. */
  take(isLast: boolean): readonly string[] {
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    const rows = pieces.map((piece) => this.#toRow(piece)).filter((row) => row !== undefined);
    if (isLast) rows.push(...this.#takeBegun());
    return rows.map((row) => JSON.stringify(row));
  }

  #toRow({ stream, atMs, chunks }: Piece): LogRow | undefined {
    const bytes = Buffer.concat([this.#begun[stream], ...chunks]);
    const end = endOfCharacters(bytes);
    this.#begun[stream] = bytes.subarray(end);
    return end === 0 ? undefined : this.#row(stream, bytes.subarray(0, end), atMs);
  }

  #takeBegun(): readonly LogRow[] {
    return (['out', 'err'] as const).flatMap((stream) => {
      const bytes = this.#begun[stream];
      this.#begun[stream] = new Uint8Array(0);
      return bytes.length === 0 ? [] : [this.#row(stream, bytes, Date.now())];
    });
  }

  #row(stream: LogStream, bytes: Uint8Array, atMs: number): LogRow {
    const text = decodeStorable(bytes);
    const content = text === undefined ? { b: Buffer.from(bytes).toString('base64') } : { d: text };
    return { a: this.#attempt, t: atMs, s: stream, ...content };
  }
}

/** The offset at which the complete characters end. A UTF-8 character has up to four bytes. */
function endOfCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0b1100_0000) === 0b1000_0000) continue;
    const needs = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needs > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
