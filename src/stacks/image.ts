/** An image: an ordered list of layers and the OCI config that says how a command runs on them. */
import type { ImageDigest, LayerId, StackName } from '../core/ids.ts';
import { FieldFault, isObject, type Reader } from '../core/read-fields.ts';

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
  /** The signal that asks its command to end, as the image writes it: `SIGQUIT`, `3`. Absent: TERM. */
  readonly stopSignal?: string;
  /** All else that its OCI config says: `Healthcheck`, `ExposedPorts`, `Volumes`. Exported again, without effect here. */
  readonly other?: OtherSettings;
}

export interface Image {
  /** Digest of the OCI manifest it came from; of its content, where it was built here. */
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

/** Labels of an image that say how its stack is built and run. */
export const STACK_LABELS = {
  smoke: 'io.stackshim.smoke',
  bundle: 'io.stackshim.bundle',
  description: 'io.stackshim.description',
  /** The last day of its fixes, `2026-08-31`. */
  eol: 'io.stackshim.eol',
  /** Seconds since 1970: no file of the image's layers is newer. */
  epoch: 'io.stackshim.epoch',
} as const;

/** Values are JSON, and are never looked into. */
export type OtherSettings = Readonly<Record<string, unknown>>;

/** A health check has 3 levels. Endless nesting would overflow the stack of the writer. */
const DEEPEST = 16;
const MOST_CHARS = 256 * 1024;

/** Undefined when nothing is left that says more than its absence, as docker's many empty settings do. */
export function toOtherSettings(
  settings: Readonly<Record<string, unknown>>,
): OtherSettings | undefined {
  const kept = Object.entries(settings).filter(
    ([name, value]) =>
      name !== '__proto__' &&
      value !== undefined &&
      value !== null &&
      value !== false &&
      value !== '',
  );
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

/** Reads what {@link toOtherSettings} gave, from a file or from an image: within bounds, values untouched. */
export const otherSettings: Reader<OtherSettings> = (value, field) => {
  if (!isObject(value)) throw new FieldFault(field, 'not an object');
  if (isDeeper(value, DEEPEST)) throw new FieldFault(field, `nested deeper than ${DEEPEST}`);
  if (JSON.stringify(value).length > MOST_CHARS) {
    throw new FieldFault(field, `more than ${MOST_CHARS} characters`);
  }
  return { ...value };
};

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((part) => isDeeper(part, levels - 1));
}
