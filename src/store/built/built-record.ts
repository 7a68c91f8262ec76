/** The file `built/<key>.json`: one build step that has ended. docs/on-disk-layout.md describes it. */
import {
  type BuildKey,
  type ImageDigest,
  isBuildKey,
  isTaskId,
  isTenantName,
  type StackName,
  type TaskId,
  type TenantName,
} from '../../core/ids.ts';
import {
  date,
  integer,
  listOf,
  objectOf,
  orNull,
  readWith,
  text,
  textThat,
  textUpTo,
} from '../../core/read-fields.ts';
import { FORMAT_VERSION, imageDigest, stackName, version } from '../stored-json.ts';

/** One EROFS file of a cached build. */
export interface BuiltPart {
  /** Hexadecimal. */
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** The parts of a cached build, lowest first: the code as it was given, and what the build step changed. */
export const PARTS = ['code', 'task'] as const;
export type PartName = (typeof PARTS)[number];
export type BuiltParts = Readonly<Record<PartName, BuiltPart>>;

export interface BuildFailure {
  /** A verdict of a task. */
  readonly verdict: string;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Completes the sentence `run the build step: …`. */
  readonly reason: string;
}

/** The limits under which a build step ran: a longer or larger one may succeed. */
export interface BuildBounds {
  readonly timeoutMs: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

export interface BuiltRecord {
  readonly version: typeof FORMAT_VERSION;
  readonly key: BuildKey;
  /** Null: for tasks without a tenant. */
  readonly tenant: TenantName | null;
  readonly stack: StackName;
  readonly image: ImageDigest;
  readonly command: readonly string[];
  readonly task: TaskId;
  readonly bounds: BuildBounds;
  /** ISO 8601, UTC. */
  readonly endedAt: string;
  /** Null: the build step failed. */
  readonly parts: BuiltParts | null;
  /** Null: it succeeded. */
  readonly failure: BuildFailure | null;
}

const MAX_REASON_CHARS = 16 * 1024;
/** Of the file of a record. */
export const MAX_BUILT_BYTES = 8 * 1024 * 1024;

const part = objectOf<BuiltPart>({
  sha256: textThat(isBuildKey, 'not a sha256'),
  sizeBytes: integer(1),
});

const record = objectOf<BuiltRecord>({
  version,
  key: textThat<BuildKey>(isBuildKey, 'not a key'),
  tenant: orNull(textThat<TenantName>(isTenantName, 'not a tenant')),
  stack: stackName,
  image: imageDigest,
  command: listOf(text),
  task: textThat<TaskId>(isTaskId, 'not a task id'),
  bounds: objectOf<BuildBounds>({
    timeoutMs: integer(0),
    memoryBytes: integer(0),
    diskBytes: integer(0),
  }),
  endedAt: date,
  parts: orNull(objectOf<BuiltParts>({ code: part, task: part })),
  failure: orNull(
    objectOf<BuildFailure>({
      verdict: textUpTo(100),
      exitCode: orNull(integer(0)),
      signal: orNull(textUpTo(100)),
      reason: textUpTo(MAX_REASON_CHARS),
    }),
  ),
});

/** The record in a file's text. Throws an `Error` for anything else: the file counts as absent then, because losing it costs time only. */
export const parseBuiltRecord = (json: string): BuiltRecord =>
  readWith(record, JSON.parse(json), ({ message }) => new Error(message));

export const toBuiltRecord = (value: Omit<BuiltRecord, 'version'>): BuiltRecord => ({
  version: FORMAT_VERSION,
  ...value,
});
