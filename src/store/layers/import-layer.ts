/** Stores a layer from a tar of any origin: cleaned, converted, verified, durable. */
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { CleanedArchive } from '../../archive/archive-cleaner.ts';
import { type ArchiveLimits, LAYER_LIMITS } from '../../archive/archive-limits.ts';
import { type ArchivePolicy, LAYER_POLICY } from '../../archive/archive-policy.ts';
import { buildErofs } from '../../archive/build-erofs.ts';
import { cleanTar } from '../../archive/clean-tar.ts';
import type { ArchiveDigests, Compression } from '../../archive/read-archive.ts';
import type { TarEntry } from '../../archive/tar-entry.ts';
import { StackshimError } from '../../core/errors.ts';
import { isLayerId, type LayerId } from '../../core/ids.ts';
import { type Layout, layerFile, layersDir, tmpDir } from '../../core/layout.ts';
import { findProgram } from '../../sys/find-program.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import { runProgram } from '../../sys/run-program.ts';
import { PLAIN_ENVIRONMENT } from '../../sys/start-program.ts';
import type { System } from '../../sys/system.ts';
import { ensureDirectory, syncDirectory, syncFile } from '../../sys/write-file.ts';
import { temporaryPath } from '../stale-files.ts';
import { pinInStore } from '../store-lease.ts';
import { type LayerRecord, writeLayerRecord } from './layer-record.ts';
import { remountLayer } from './mount-layer.ts';
import { readVerifiedRecord } from './verify-layer.ts';

export interface ImportLayerOptions {
  readonly layout: Layout;
  readonly system: System;
  readonly compression: Compression;
  /** `sha256:<hex>` of the tar. */
  readonly expectedDiffId?: string | undefined;
  /** `sha256:<hex>` of the blob as received. */
  readonly expectedDigest?: string | undefined;
  /** Bytes of the blob as received. */
  readonly expectedSize?: number | undefined;
  /** Seconds since 1970: later times of files are set to this one. Default: times are kept. */
  readonly mtimeCeiling?: number | undefined;
  readonly limits?: ArchiveLimits | undefined;
  /** What the tar may contain. Default: what a layer of an OCI image may. */
  readonly policy?: ArchivePolicy | undefined;
  /** Sees each entry of the tar first, and may replace it or throw. */
  readonly adapt?: ((entry: TarEntry) => TarEntry) | undefined;
  /** Called with the bytes of the tar read so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LayerImport {
  readonly record: LayerRecord;
  /** `sha256:<hex>` of the blob as received. */
  readonly digest: string;
  /** True if the layer was stored already with a valid file, which stayed as it was. */
  readonly existed: boolean;
}

/**
 * Stores the layer; when the promise resolves it survives a power cut. The same tar gives the same layer.
 * The layer's file is written before its record: a file without a record is garbage that the next import of the layer replaces. So is a file
 * whose content does not match its name.
 * What it stores or finds is pinned in the leases of this process (`holdStore`).
 * On failure nothing is left. A {@link Readable} is destroyed in any case.
 * Throws ERR_STACKSHIM_LAYER_INVALID, ERR_STACKSHIM_LAYER_TOO_LARGE, ERR_STACKSHIM_TOOL_MISSING, ERR_STACKSHIM_DISK_FULL,
 * ERR_STACKSHIM_TASK_ABORTED, ERR_STACKSHIM_SYSTEM, and whatever reading `input` throws.
 */
export async function importLayer(
  input: AsyncIterable<Uint8Array>,
  options: ImportLayerOptions,
): Promise<LayerImport> {
  const { layout, system, signal } = options;
  const built = temporaryPath(layout, '.erofs');
  try {
    return await guardDisk('import a layer', async () => {
      await ensureDirectory(tmpDir(layout), 0o700);
      await ensureDirectory(layersDir(layout), 0o700);
      const { report, id, sizeBytes } = await buildLayer(input, built, options);
      await syncFile(built);
      await pinInStore(layout, id);
      const existing = await readVerifiedRecord(layout, id, { signal });
      if (existing !== undefined) {
        // No file of the layer says whether the root is opaque: another tar with the same files may differ in that.
        const record = { ...existing, opaqueRoot: report.opaqueRoot };
        return { record, digest: report.digest, existed: true };
      }
      const { diffId, opaqueRoot, entries, droppedDevices } = report;
      const record: LayerRecord = {
        ...{ version: 1, id, sizeBytes, diffId, mtimeCeiling: options.mtimeCeiling ?? null },
        ...{ opaqueRoot, entries, droppedDevices, compression: 'lz4' },
        createdBy: await readMkfsVersion(),
      };
      await rename(built, layerFile(layout, id));
      await syncDirectory(layersDir(layout));
      await writeLayerRecord(layout, record);
      remountLayer(system, layout, id);
      return { record, digest: report.digest, existed: false };
    });
  } finally {
    if (input instanceof Readable) input.destroy();
    await rm(built, { force: true });
  }
}

interface BuiltLayer {
  readonly report: CleanedArchive & ArchiveDigests;
  readonly id: LayerId;
  readonly sizeBytes: number;
}

async function buildLayer(
  input: AsyncIterable<Uint8Array>,
  destination: string,
  options: ImportLayerOptions,
): Promise<BuiltLayer> {
  const { system, layout, signal, limits = LAYER_LIMITS, policy = LAYER_POLICY } = options;
  const { compression, mtimeCeiling, adapt, onProgress } = options;
  const common = { policy, workers: { system, layout }, signal };
  const reading = { ...common, limits, compression, mtimeCeiling, adapt, onProgress };
  const clean = cleanTar(input, reading);
  const building = { ...common, compression: 'lz4' } as const;
  const { sha256: id, sizeBytes } = await buildErofs(clean.tar, destination, building);
  const report = clean.report();
  requireExpected('size', options.expectedSize, report.packedBytes);
  requireExpected('digest', options.expectedDigest, report.digest);
  requireExpected('DiffID', options.expectedDiffId, report.diffId);
  if (!isLayerId(id)) throw new Error('sha256 gave no layer id');
  return { report, id, sizeBytes };
}

/** Throws ERR_STACKSHIM_LAYER_INVALID if the two differ; does nothing if nothing is expected. */
export function requireExpected(
  what: string,
  expected: string | number | undefined,
  actual: string | number,
): void {
  if (expected === undefined || expected === actual) return;
  const message = `import layer: its ${what} is ${actual} instead of ${expected}`;
  const details = { what, expected, actual };
  throw new StackshimError('ERR_STACKSHIM_LAYER_INVALID', message, { details });
}

/** `mkfs.erofs 1.8.6`. */
async function readMkfsVersion(): Promise<string> {
  const path = findProgram('mkfs.erofs', { package: 'erofs-utils' });
  const run = { path, args: ['--version'], env: PLAIN_ENVIRONMENT, keeps: 'stdout' } as const;
  const { output } = await runProgram(run);
  const match = /^mkfs\.erofs \(erofs-utils\) ([\w.+~-]{1,40})/.exec(output);
  return `mkfs.erofs ${match?.[1] ?? 'unknown'}`;
}
