/** Writes a stack as one file for other programs: an OCI archive that also contains docker's `manifest.json`. */
import type { ImageDigest, StackName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { parseStackReference } from '../spec/parse-command.ts';
import { addImageNames } from '../store/images/store-image.ts';
import { withHeldStore } from '../store/store-lease.ts';
import { guardDisk } from '../sys/guard-disk.ts';
import { abortable } from './abortable.ts';
import { writeImageArchive } from './archives/write-image-archive.ts';
import { resolveByContent } from './oci-image/seek-content.ts';
import { withOutput, writeArchive } from './output-file.ts';
import { toReporter } from './progress.ts';
import type { ExchangeOptions } from './publish-image.ts';

export interface ExportStackOptions extends ExchangeOptions {
  /** `name`, `name@rev:N` or `name@sha256:…`. */
  readonly stack: string;
  /** A regular file is replaced in one step; a device or FIFO is written to; `-` is standard output. */
  readonly file: string;
}

export interface ExportedStack {
  readonly stack: StackName;
  readonly revision: number;
  /** Name of the image in the archive: `localhost/ruby-3.3:rev-2`. */
  readonly reference: string;
  /** Digest of the manifest in the archive, which is the content digest of the image. */
  readonly digest: ImageDigest;
}

/**
 * Writes the archive. A failure leaves no new archive and keeps an older one. The same revision gives the same bytes. Throws
 * ERR_STACKSHIM_SPEC_INVALID, ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_BUILD_ABORTED, ERR_STACKSHIM_LAYER_CORRUPT and
 * the errors of `resolveStack`.
 */
export async function exportStack(
  layout: Layout,
  options: ExportStackOptions,
): Promise<ExportedStack> {
  const { system, signal } = options;
  return await abortable(`export ${options.stack}`, signal, () =>
    withOutput(options.file, signal, (output) =>
      withHeldStore(layout, system, async (lease) => {
        const asked = parseStackReference(options.stack, 'stack');
        const found = await resolveByContent(layout, asked, { system, signal });
        const { stack, revision, image } = found;
        for (const id of image.layers) await lease.pin(id);
        const report = toReporter(options.onProgress);
        report({ kind: 'step', step: 'export', text: `export ${stack} revision ${revision}` });
        const reference = `localhost/${stack}:rev-${revision}`;
        const content = { image, reference, system, report, signal };
        const { digest, config } = await guardDisk(`write ${output.name}`, () =>
          writeArchive(output, layout, (archive) => writeImageArchive(layout, archive, content)),
        );
        await addImageNames(layout, image.digest, { system, content: digest, others: [config] });
        return { stack, revision, reference, digest };
      }),
    ),
  );
}
