/** An image: an ordered list of layers, and the OCI config for commands that run on them. */
import type { ImageDigest, LayerId, StackName } from '../../core/ids.ts';
import type { OtherSettings } from './other-settings.ts';

/** The part of an OCI image config that stackshim uses (image-spec, config.md). */
export interface ImageConfig {
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** Empty: `/`. */
  readonly workingDir: string;
  /** `user[:group]`, names or numbers; empty: root. */
  readonly user: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The signal that asks the command to end, as the image writes it: `SIGQUIT`, `3`. Absent: TERM. */
  readonly stopSignal?: string;
  /** All other settings of its OCI config: `Healthcheck`, `ExposedPorts`, `Volumes`. They are exported again, but have no effect here. */
  readonly other?: OtherSettings;
}

export interface Image {
  /** Digest of its OCI manifest; of its content if it was built here. */
  readonly digest: ImageDigest;
  /** Lowest first. */
  readonly layers: readonly LayerId[];
  /** OCI DiffIDs (`sha256:…` of the uncompressed tar), one for each layer. */
  readonly diffIds: readonly string[];
  readonly config: ImageConfig;
  readonly architecture: string;
}

/** What a task runs on: one revision of a stack, resolved once. */
export interface PinnedImage {
  readonly stack: StackName;
  readonly revision: number;
  readonly image: Image;
}

/** Labels of an image that control how its stack is built and run. */
export const STACK_LABELS = {
  smoke: 'io.stackshim.smoke',
  bundle: 'io.stackshim.bundle',
  description: 'io.stackshim.description',
  /** The last day on which it gets fixes: `2026-08-31`. */
  eol: 'io.stackshim.eol',
  /** Seconds since 1970: no file of the image's layers is newer. */
  epoch: 'io.stackshim.epoch',
} as const;
