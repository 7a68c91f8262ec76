/** Writes an image archive in one pass. A blob's digest is known only after its content, so each header is written after its blob. */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { encodeFileHeader, TAR_TRAILER } from '../../archive/encode-tar-entry.ts';
import { BLOCK_BYTES, paddingOf } from '../../archive/parse-tar-header.ts';

export interface WrittenBlob {
  /** `sha256:<hex>`. */
  readonly digest: string;
  readonly size: number;
}

export interface ArchiveWriter {
  /** Writes a blob to `blobs/sha256/<hex>`; a repeated blob takes no space. */
  addBlob(content: AsyncIterable<Uint8Array> | readonly Uint8Array[]): Promise<WrittenBlob>;
  addFile(path: string, content: string): Promise<void>;
  end(): Promise<void>;
}

/** Writes to an empty file, which the caller closes. The same contents in the same order give the same archive. */
export function createArchiveWriter(file: FileHandle): ArchiveWriter {
  let at = 0;
  const written = new Set<string>();
  const write = async (bytes: Uint8Array, position: number): Promise<void> => {
    for (let done = 0; done < bytes.length; ) {
      const rest = bytes.length - done;
      done += (await file.write(bytes, done, rest, position + done)).bytesWritten;
    }
  };
  return {
    async addBlob(content) {
      const hash = createHash('sha256');
      const start = at + BLOCK_BYTES;
      let size = 0;
      for await (const chunk of content) {
        hash.update(chunk);
        await write(chunk, start + size);
        size += chunk.length;
      }
      const hex = hash.digest('hex');
      const blob = { digest: `sha256:${hex}`, size };
      // The next write overwrites the repeated blob.
      if (written.has(hex)) return blob;
      written.add(hex);
      await write(toHeader(`blobs/sha256/${hex}`, size), at);
      await write(Buffer.alloc(paddingOf(size)), start + size);
      at = start + size + paddingOf(size);
      return blob;
    },
    async addFile(path, content) {
      const bytes = Buffer.from(content);
      const padding = Buffer.alloc(paddingOf(bytes.length));
      const entry = Buffer.concat([toHeader(path, bytes.length), bytes, padding]);
      await write(entry, at);
      at += entry.length;
    },
    async end() {
      await write(TAR_TRAILER, at);
      await file.truncate(at + TAR_TRAILER.length);
    },
  };
}

/** Makes a header of exactly one block: names are short and sizes bounded, and only one block is left free for the header. */
function toHeader(path: string, size: number): Buffer {
  const header = encodeFileHeader(path, size, 0o644);
  if (header.length === BLOCK_BYTES) return header;
  throw new Error(`the header of ${path} does not fit one block`);
}
