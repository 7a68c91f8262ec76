/** The file `built/<key>.json`: a build step that has ended. docs/on-disk-layout.md describes the file. */
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

/** An EROFS file of a cached build. */
export interface BuiltPart {
  /** Hexadecimal. */
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** The parts of a cached build, lowest first: the code as given, and the changes by the build step. */
export const PARTS = ['code', 'task'] as const;
export type PartName = (typeof PARTS)[number];
export type BuiltParts = Readonly<Record<PartName, BuiltPart>>;

export interface BuildFailure {
  /** The verdict of the task that ran the build step. */
  readonly verdict: string;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Completes the message `run the build step: …`. */
  readonly reason: string;
}

/** The limits under which a build step ran. With a longer time or a higher limit, the same step may succeed. */
export interface BuildBounds {
  readonly timeoutMs: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

export interface BuiltRecord {
  readonly version: typeof FORMAT_VERSION;
  readonly key: BuildKey;
  /** Null for tasks without a tenant. */
  readonly tenant: TenantName | null;
  readonly stack: StackName;
  readonly image: ImageDigest;
  readonly command: readonly string[];
  readonly task: TaskId;
  readonly bounds: BuildBounds;
  /** ISO 8601, UTC. */
  readonly endedAt: string;
  /** Null if the build step failed. */
  readonly parts: BuiltParts | null;
  /** Null if the build step succeeded. */
  readonly failure: BuildFailure | null;
}

const MAX_REASON_CHARS = 16 * 1024;
/** Maximum size of a record's file. */
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

/** Parses a record. Throws an `Error` for any other text: callers treat the file as absent, because losing a record costs only time. */
export const parseBuiltRecord = (json: string): BuiltRecord =>
  readWith(record, JSON.parse(json), ({ message }) => new Error(message));

export const toBuiltRecord = (value: Omit<BuiltRecord, 'version'>): BuiltRecord => ({
  version: FORMAT_VERSION,
  ...value,
});
