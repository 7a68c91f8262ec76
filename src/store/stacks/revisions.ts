/** Revisions: immutable entries in a stack's history, the files `stacks/<name>/<n>.json`. */
import { StackshimError } from '../../core/errors.ts';
import type { ImageDigest, StackName } from '../../core/ids.ts';
import { type Layout, stackDir } from '../../core/layout.ts';
import { date, objectOf } from '../../core/read-fields.ts';
import { readNumbers } from '../numbered-files.ts';
import { imageDigest, number, type StoredVersion, stackName, version } from '../stored-fields.ts';
import { readStoredJson, toCorrupt } from '../stored-json.ts';
import { type RevisionSource, source } from './revision-source.ts';

export interface Revision {
  readonly stack: StackName;
  /** 1, 2, 3, … within its stack. */
  readonly revision: number;
  readonly image: ImageDigest;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly source: RevisionSource;
}

const reader = objectOf<Revision & StoredVersion>({
  version,
  stack: stackName,
  revision: number,
  image: imageDigest,
  createdAt: date,
  source,
});

const kind = { code: 'ERR_STACKSHIM_STACK_CORRUPT', what: 'revision file' } as const;

export const revisionFile = (layout: Layout, name: StackName, revision: number) =>
  `${stackDir(layout, name)}/${revision}.json`;

/** A stored revision; undefined if there is none with this number. Throws ERR_STACKSHIM_STACK_CORRUPT. */
export function readRevision(
  layout: Layout,
  name: StackName,
  revision: number,
): Revision | undefined {
  const path = revisionFile(layout, name, revision);
  const stored = readStoredJson(path, { ...kind, reader });
  if (stored === undefined) return undefined;
  if (stored.stack !== name || stored.revision !== revision) {
    throw toCorrupt(path, `contains ${stored.stack} revision ${stored.revision}`, kind);
  }
  const { version: _, ...entry } = stored;
  return entry;
}

/** Like {@link readRevision}, but a missing revision is ERR_STACKSHIM_STACK_NOT_FOUND. */
export function requireRevision(layout: Layout, name: StackName, revision: number): Revision {
  const entry = readRevision(layout, name, revision);
  if (entry !== undefined) return entry;
  const kept = readRevisionNumbers(layout, name);
  throw new StackshimError(
    'ERR_STACKSHIM_STACK_NOT_FOUND',
    `find stack ${name}: no revision ${revision}`,
    {
      hint: `run stackshim stack history ${name} to list the revisions`,
      details: { stack: name, revision, revisions: kept.slice(-20) },
    },
  );
}

/** Numbers of the revisions that are stored, ascending. */
export function readRevisionNumbers(layout: Layout, name: StackName): number[] {
  return readNumbers(stackDir(layout, name));
}
