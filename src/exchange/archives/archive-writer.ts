/** Writes an image archive in one pass. The digest that names a blob is known only after its content, so each header is written afterwards. */
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
  /** Writes a blob to `blobs/sha256/<hex>`; a blob that was written before takes no space. */
  addBlob(content: AsyncIterable<Uint8Array> | readonly Uint8Array[]): Promise<WrittenBlob>;
  addFile(path: string, content: string): Promise<void>;
  end(): Promise<void>;
}

/** Writes to an empty file, which the caller closes. Equal contents in equal order give equal archives. */
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
      // The next write overwrites the duplicate.
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

/** Exactly one block: the names are short, the sizes are bounded, and there is room for one header block. */
function toHeader(path: string, size: number): Buffer {
  const header = encodeFileHeader(path, size, 0o644);
  if (header.length === BLOCK_BYTES) return header;
  throw new Error(`the header of ${path} does not fit one block`);
}
