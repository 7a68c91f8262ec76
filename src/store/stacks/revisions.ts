/** Revisions: immutable entries in a stack's history (`stacks/<name>/<n>.json`), each with its source. */
import { StackshimError } from '../../core/errors.ts';
import type { ImageDigest, StackName } from '../../core/ids.ts';
import { type Layout, stackDir } from '../../core/layout.ts';
import {
  date,
  FieldFault,
  isObject,
  objectOf,
  oneOf,
  optional,
  type Reader,
  textThat,
} from '../../core/read-fields.ts';
import type { NumberedFolder } from '../numbered-folder.ts';
import {
  imageDigest,
  line,
  number,
  readNumbers,
  readStoredJson,
  stackName,
  storedFields,
  toCorrupt,
} from '../stored-json.ts';

/** The revision of a base that another stack was built on. */
export interface BaseReference {
  readonly stack: StackName;
  readonly revision: number;
}

/** A folder with a Dockerfile. */
interface BuildSource {
  readonly kind: 'build';
  readonly directory: string;
  /** Digest of the build's inputs: it changes when a build from the folder would differ. */
  readonly inputHash: string;
  /** The base's revision at the time of the build; absent without a base. */
  readonly base?: BaseReference | undefined;
}

/** An image from elsewhere. */
interface ImportSource {
  readonly kind: 'import';
  readonly reference: string;
  /** Date of the save file that the image came from, ISO 8601; no later than the revision. */
  readonly savedAt?: string | undefined;
}

export type RevisionSource = BuildSource | ImportSource;

const buildSource = objectOf<BuildSource>({
  kind: oneOf('build'),
  directory: line,
  inputHash: textThat((value) => /^[0-9a-f]{64}$/.test(value), 'not a sha256'),
  base: optional(objectOf<BaseReference>({ stack: stackName, revision: number })),
});
const importSource = objectOf<ImportSource>({
  kind: oneOf('import'),
  reference: line,
  savedAt: optional(date),
});

const source: Reader<RevisionSource> = (value, field) => {
  const kind: unknown = isObject(value) ? Reflect.get(value, 'kind') : undefined;
  if (kind === 'build') return buildSource(value, field);
  if (kind === 'import') return importSource(value, field);
  throw new FieldFault(field, 'not a build or an import');
};

export interface Revision {
  readonly stack: StackName;
  /** 1, 2, 3, … within its stack. */
  readonly revision: number;
  readonly image: ImageDigest;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly source: RevisionSource;
}

const reader = storedFields<Revision>({
  stack: stackName,
  revision: number,
  image: imageDigest,
  createdAt: date,
  source,
});

const kind = { code: 'ERR_STACKSHIM_STACK_CORRUPT', what: 'revision file' } as const;

export const revisionFile = (layout: Layout, name: StackName, revision: number) =>
  `${stackDir(layout, name)}/${revision}.json`;

/** Reads a stored revision; undefined if the number does not exist. Throws ERR_STACKSHIM_STACK_CORRUPT. */
export function readRevision(
  layout: Layout,
  name: StackName,
  revision: number,
): Revision | undefined {
  const path = revisionFile(layout, name, revision);
  const entry = readStoredJson(path, { ...kind, reader });
  if (entry !== undefined && (entry.stack !== name || entry.revision !== revision)) {
    throw toCorrupt(path, `contains ${entry.stack} revision ${entry.revision}`, kind);
  }
  return entry;
}

/** Makes the error for a missing revision that the current generation names. */
export const toMissing = (layout: Layout, name: StackName, revision: number): StackshimError =>
  toCorrupt(revisionFile(layout, name, revision), 'missing', kind);

/** Like {@link readRevision}, but throws ERR_STACKSHIM_STACK_NOT_FOUND for a missing revision. */
export function requireRevision(layout: Layout, name: StackName, revision: number): Revision {
  const entry = readRevision(layout, name, revision);
  if (entry !== undefined) return entry;
  const revisions = readRevisionNumbers(layout, name).slice(-20);
  const message = `find stack ${name}: no revision ${revision}`;
  throw new StackshimError('ERR_STACKSHIM_STACK_NOT_FOUND', message, {
    hint: `run stackshim stack history ${name} to list the revisions`,
    details: { stack: name, revision, revisions },
  });
}

export const stackFolder = (layout: Layout, name: StackName): NumberedFolder => ({
  folder: stackDir(layout, name),
  owner: name,
  code: kind.code,
});

/** Numbers of the stored revisions, ascending. */
export const readRevisionNumbers = (layout: Layout, name: StackName): number[] =>
  readNumbers(stackDir(layout, name));
