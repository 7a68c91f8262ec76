/** A stack as one file for everybody: an OCI archive that also holds docker's `manifest.json`. */
import type { ImageDigest, StackName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { guardDisk } from '../../layers/guard-disk.ts';
import { withHeldStore } from '../../layers/store-lease.ts';
import { parseStackReference } from '../../spec/parse-stack-reference.ts';
import { addImageNames } from '../../stacks/add-image-names.ts';
import { abortable } from '../build-aborted.ts';
import { toReporter } from '../build-progress.ts';
import { resolveByContent } from '../seek-content.ts';
import { type Output, withOutput, writeArchive } from './output-file.ts';
import type { ExchangeOptions } from './publish-image.ts';
import { writeImageArchive } from './write-image-archive.ts';

export interface ExportStackOptions extends ExchangeOptions {
  /** `name`, `name@rev:N` or `name@sha256:…`. */
  readonly stack: string;
  /** Replaced in one step when it is a regular file; written to when it is a device or FIFO; `-` is standard output. */
  readonly file: string;
}

export interface ExportedStack {
  readonly stack: StackName;
  readonly revision: number;
  /** What the image is called in the archive: `localhost/ruby-3.3:rev-2`. */
  readonly reference: string;
  /** Of the manifest in the archive: the digest of the image's content. */
  readonly digest: ImageDigest;
}

/**
 * Writes the archive; on failure there is none, and an older one stays. The same revision gives the same bytes.
 * Throws ERR_STACKSHIM_SPEC_INVALID, ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_BUILD_ABORTED, ERR_STACKSHIM_LAYER_CORRUPT
 * and as `resolveStack`.
 */
export async function exportStack(
  layout: Layout,
  options: ExportStackOptions,
): Promise<ExportedStack> {
  const { signal } = options;
  return await abortable(`export ${options.stack}`, signal, () =>
    withOutput(options.file, signal, (output) => writeStack(layout, options, output)),
  );
}

async function writeStack(
  layout: Layout,
  options: ExportStackOptions,
  output: Output,
): Promise<ExportedStack> {
  const { system, signal } = options;
  return await withHeldStore(layout, system, async (lease) => {
    const reference = parseStackReference(options.stack, 'stack');
    const { stack, revision, image } = await resolveByContent(layout, reference, {
      system,
      signal,
    });
    for (const id of image.layers) await lease.pin(id);
    const report = toReporter(options.onProgress);
    report({ kind: 'step', step: 'export', text: `export ${stack} revision ${revision}` });
    const name = `localhost/${stack}:rev-${revision}`;
    const content = { image, reference: name, system, report, signal };
    const { digest, config } = await guardDisk(`write ${output.name}`, () =>
      writeArchive(output, layout, (archive) => writeImageArchive(layout, archive, content)),
    );
    await addImageNames(layout, image.digest, { system, content: digest, others: [config] });
    return { stack, revision, reference: name, digest };
  });
}
