/** Stores the EROFS file of a layer from a trusted machine unchanged: no tar, no cleaning, no conversion. */
import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { StackshimError } from '../../core/errors.ts';
import { type Layout, layerFile, layersDir, tmpDir } from '../../core/layout.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import { ensureDirectory, syncDirectory } from '../../sys/write-file.ts';
import { temporaryPath } from '../stale-files.ts';
import { type LayerRecord, writeLayerRecord } from './layer-record.ts';

/**
 * Stores a layer whose record the caller trusts. The kernel reads a foreign EROFS file, and no digest makes that safe. The content must match the
 * record byte for byte. Durable when the promise resolves; on failure nothing is left. Precondition: the caller has pinned the layer. Throws
 * ERR_STACKSHIM_SAVE_INVALID, ERR_STACKSHIM_DISK_FULL, and errors of reading `content`.
 */
export async function receiveLayer(
  layout: Layout,
  record: LayerRecord,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  const received = temporaryPath(layout, '.erofs');
  await guardDisk(`store layer ${record.id}`, async () => {
    await ensureDirectory(tmpDir(layout), 0o700);
    await ensureDirectory(layersDir(layout), 0o700);
    try {
      const hash = createHash('sha256');
      const file = await open(received, 'wx', 0o400);
      try {
        for await (const chunk of content) {
          hash.update(chunk);
          await file.writeFile(chunk);
        }
        await file.sync();
      } finally {
        await file.close();
      }
      const actual = hash.digest('hex');
      if (actual !== record.id) {
        const message = `receive layer ${record.id}: its content has the sha256 ${actual}`;
        const details = { layer: record.id, actual };
        throw new StackshimError('ERR_STACKSHIM_SAVE_INVALID', message, { details });
      }
      await rename(received, layerFile(layout, record.id));
    } finally {
      await rm(received, { force: true });
    }
    await syncDirectory(layersDir(layout));
    await writeLayerRecord(layout, record);
  });
}
