/** Releases: several stacks moved at once, in one generation, and moved back together. */
import { StackshimError } from '../../core/errors.ts';
import type { ImageDigest, StackName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { FieldFault, mapOf, objectOf, type Reader, readWith } from '../../core/read-fields.ts';
import type { System } from '../../sys/system.ts';
import { imageDigest, number, stackName } from '../stored-json.ts';
import { flipStacks } from './flip-stacks.ts';
import {
  type Generation,
  readCurrentGeneration,
  readGeneration,
  revisionIn,
} from './generations.ts';
import { resolveStack } from './resolve-stack.ts';
import { readRevision, requireRevision } from './revisions.ts';
import { requireProven, type StackMove } from './rollback.ts';

/** The wanted revision of each stack: its number, or the digest of its image. */
export type Release = ReadonlyMap<StackName, number | ImageDigest>;

export interface ReleaseResult {
  /** Number of the current generation: a new one, unless an applied release changed nothing. */
  readonly generation: number;
  /** Stacks whose revision changed, by name. */
  readonly moves: readonly StackMove[];
}

const MAX_STACKS = 10_000;

const wanted: Reader<number | ImageDigest> = (value, field) =>
  typeof value === 'number' ? number(value, field) : imageDigest(value, field);
const fields = objectOf({ stacks: mapOf(wanted, stackName) });

const reader: Reader<Release> = (value, field) => {
  const { stacks } = fields(value, field);
  const entries = Object.entries(stacks) as [StackName, number | ImageDigest][];
  if (entries.length > 0 && entries.length <= MAX_STACKS) return new Map(entries);
  throw new FieldFault('stacks', `not 1 to ${MAX_STACKS} stacks`);
};

/** Parses the text of a release file. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseRelease(text: string, file: string): Release {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw toInvalid(file, 'not JSON', error);
  }
  return readWith(reader, value, ({ message }) => toInvalid(file, message));
}

function toInvalid(file: string, reason: string, cause?: unknown): StackshimError {
  return new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `read release ${file}: ${reason}`, {
    hint: 'write {"stacks": {"python-3.13": 4, "ruby-3.3": "sha256:…"}}',
    details: { field: 'release' },
    cause,
  });
}

/**
 * Moves every stack of the release, or none. `label` is for people: the file's name. Other stacks stay as they are. Throws
 * ERR_STACKSHIM_STACK_NOT_FOUND for the first stack or revision that is not stored, ERR_STACKSHIM_STACK_BUSY.
 */
export async function applyRelease(
  layout: Layout,
  system: System,
  options: { readonly release: Release; readonly label: string; readonly now: Date },
): Promise<ReleaseResult> {
  const { release, label, now } = options;
  const changes = new Map<StackName, number>();
  for (const [name, asked] of release) {
    const reference = typeof asked === 'number' ? { revision: asked } : { image: asked };
    const { revision } = resolveStack(layout, { name, ...reference });
    requireProven(layout, requireRevision(layout, name, revision));
    changes.set(name, revision);
  }
  let before: Generation | undefined;
  const generation = await flipStacks(layout, system, {
    now,
    reason: `release ${label}`,
    // A generation without changes would make the next rollback do nothing.
    onlyChanges: true,
    changes(current) {
      before = current;
      return changes;
    },
  });
  return { generation: generation.number, moves: toMoves(before, changes) };
}

/**
 * Moves all stacks to their revisions in the earlier generation `to` (default: the one before the last change), in one new generation. Stacks
 * that were added later stay as they are; stacks that were removed later stay removed. A second call without `to` goes back further. Throws
 * ERR_STACKSHIM_STACK_NOT_FOUND if the generation or one of its revisions is not stored any more; then nothing moves.
 */
export async function rollbackRelease(
  layout: Layout,
  system: System,
  { to, now }: { readonly to?: number | undefined; readonly now: Date },
): Promise<ReleaseResult> {
  const seen = readCurrentGeneration(layout);
  const target = findTarget(layout, to ?? seen?.previous);
  let moves: readonly StackMove[] = [];
  const generation = await flipStacks(layout, system, {
    now,
    reason: `release rollback to generation ${target.number}`,
    previous: target.previous,
    changes(current) {
      requireSame(seen, current);
      const entries = Object.entries(target.stacks) as [StackName, number][];
      const changes = new Map(entries.filter(([name]) => revisionIn(current, name) !== undefined));
      moves = toMoves(current, changes);
      requireStored(layout, target, moves);
      return changes;
    },
  });
  return { generation: generation.number, moves };
}

function findTarget(layout: Layout, number: number | undefined): Generation {
  const target = number === undefined ? undefined : readGeneration(layout, number);
  if (target !== undefined) return target;
  const reason =
    number === undefined ? 'there is no earlier generation' : `no generation ${number} is stored`;
  throw new StackshimError('ERR_STACKSHIM_STACK_NOT_FOUND', `roll back release: ${reason}`, {
    hint: 'run stackshim stack release ls to list the generations',
    details: { generation: number ?? null },
  });
}

/** Refuses to undo a generation that the caller has not seen. */
function requireSame(seen: Generation | undefined, current: Generation | undefined): void {
  if (seen?.number === current?.number) return;
  const message = 'roll back release: another process changed the stacks meanwhile';
  const details = { seen: seen?.number ?? null, current: current?.number ?? null };
  throw new StackshimError('ERR_STACKSHIM_STACK_BUSY', message, { details });
}

function requireStored(layout: Layout, target: Generation, moves: readonly StackMove[]): void {
  const missing = moves
    .filter(({ stack, to }) => readRevision(layout, stack, to) === undefined)
    .map(({ stack, to }) => `${stack}@rev:${to}`);
  if (missing.length === 0) return;
  const message = `roll back to generation ${target.number}: ${missing.join(', ')} is no longer stored`;
  throw new StackshimError('ERR_STACKSHIM_STACK_NOT_FOUND', message, {
    hint: 'roll back to a later generation with --to, or roll back single stacks with stackshim stack rollback',
    details: { generation: target.number, missing },
  });
}

function toMoves(
  before: Generation | undefined,
  changes: ReadonlyMap<StackName, number>,
): StackMove[] {
  return [...changes]
    .map(([stack, to]) => ({ stack, from: revisionIn(before, stack) ?? null, to }))
    .filter(({ from, to }) => from !== to)
    .sort((one, other) => (one.stack < other.stack ? -1 : 1));
}
