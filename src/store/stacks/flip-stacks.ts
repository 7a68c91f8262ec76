/** Moves stacks to other revisions: one new generation, made current by one rename. */
import { rename, rm, symlink } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { StackshimError } from '../../core/errors.ts';
import type { StackName } from '../../core/ids.ts';
import { currentLink, generationsDir, type Layout, tmpDir } from '../../core/layout.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import type { System } from '../../sys/system.ts';
import { ensureDirectory, syncDirectory } from '../../sys/write-file.ts';
import { temporaryPath } from '../stale-files.ts';
import { nextNumber, readNumbers } from '../stored-json.ts';
import { withStacksLock } from '../with-lock.ts';
import { writeStoredJson } from '../write-stored-json.ts';
import { type Generation, generationFile, readCurrentGeneration } from './generations.ts';
import { requireRevision } from './revisions.ts';

/** The new revision of each stack; null removes the stack. */
type StackChanges = ReadonlyMap<StackName, number | null>;

interface FlipOptions {
  /** A function is called with the current generation, which cannot change before the flip is done. */
  readonly changes: StackChanges | ((current: Generation | undefined) => StackChanges);
  readonly now: Date;
  /** The reason, for people: `build python-3.13`. */
  readonly reason: string;
  /** The generation that undoing this flip leads back to. Default: the one that is current before it. */
  readonly previous?: number | undefined;
  /** If nothing would change, make no generation and resolve to the current one. */
  readonly onlyChanges?: boolean;
  /** How long to wait for another process that changes stacks. Default 15 s. */
  readonly lockWaitMs?: number;
}

/**
 * Makes all changes at once or none: a reader sees either the old generation or the new one. Durable when the promise resolves. Running
 * tasks keep their revision. Throws ERR_STACKSHIM_STACK_NOT_FOUND for a revision that is not stored, ERR_STACKSHIM_STACK_BUSY.
 */
export async function flipStacks(
  layout: Layout,
  system: System,
  options: FlipOptions,
): Promise<Generation> {
  const flip = () => flipLocked(layout, options);
  return await withStacksLock(layout, system, flip, options.lockWaitMs);
}

async function flipLocked(layout: Layout, options: FlipOptions): Promise<Generation> {
  const current = readCurrentGeneration(layout);
  const changes =
    typeof options.changes === 'function' ? options.changes(current) : options.changes;
  for (const [name, revision] of changes) {
    if (revision !== null) requireRevision(layout, name, revision);
  }
  const stacks = applyChanges(current, changes);
  if (options.onlyChanges && current !== undefined && isDeepStrictEqual(stacks, current.stacks)) {
    return current;
  }
  const previous = 'previous' in options ? options.previous : current?.number;
  const generation: Generation = {
    // Skips numbers of generations that never became current, so that a number always means the same map.
    number: nextNumber(readNumbers(generationsDir(layout))),
    createdAt: options.now.toISOString(),
    reason: options.reason,
    previous,
    stacks,
  };
  await guardDisk(`write generation ${generation.number}`, async () => {
    await ensureDirectory(generationsDir(layout), 0o700);
    await writeStoredJson(generationFile(layout, generation.number), generation);
    await replaceLink(layout, `generations/${generation.number}.json`);
  });
  return generation;
}

function applyChanges(
  current: Generation | undefined,
  changes: StackChanges,
): Generation['stacks'] {
  const stacks = new Map<string, number>(Object.entries(current?.stacks ?? {}));
  for (const [name, revision] of changes) {
    if (revision !== null) stacks.set(name, revision);
    else if (!stacks.delete(name)) {
      const message = `remove stack ${name}: no such stack`;
      const details = { stack: name };
      throw new StackshimError('ERR_STACKSHIM_STACK_NOT_FOUND', message, { details });
    }
  }
  return Object.fromEntries([...stacks].sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function replaceLink(layout: Layout, target: string): Promise<void> {
  await ensureDirectory(tmpDir(layout), 0o700);
  const temporary = temporaryPath(layout, '.current');
  try {
    await symlink(target, temporary);
    await rename(temporary, currentLink(layout));
  } finally {
    await rm(temporary, { force: true });
  }
  await syncDirectory(layout.root);
}
