/** Lists a stack's revisions as plain data: which are stored, and when each was current. */
import type { ImageDigest, StackName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import {
  type Generation,
  readCurrentGeneration,
  readGeneration,
  readGenerationNumbers,
  revisionIn,
} from './generations.ts';
import { resolveStack } from './resolve-stack.ts';
import { type Revision, readRevisionNumbers, requireRevision } from './revisions.ts';

export interface HistoryEntry {
  readonly revision: number;
  /** `unproven`: no generation names the revision. Its build was interrupted or is running, or it was only stored. */
  readonly state: 'current' | 'earlier' | 'unproven';
  readonly image: ImageDigest;
  /** ISO 8601. */
  readonly createdAt: string;
  /** When the revision last became current, ISO 8601; null if it never did. */
  readonly currentSince: string | null;
  readonly source: Revision['source'];
}

/** Most generations searched for the times at which a revision became current. */
const MAX_GENERATIONS = 10_000;

/** Returns every stored revision, newest first. Blocks. Throws ERR_STACKSHIM_STACK_NOT_FOUND, ERR_STACKSHIM_STACK_CORRUPT. */
export function readStackHistory(layout: Layout, name: StackName): HistoryEntry[] {
  const numbers = readRevisionNumbers(layout, name);
  // Throws the error that suggests similar names.
  if (numbers.length === 0) resolveStack(layout, { name });
  const current = revisionIn(readCurrentGeneration(layout), name);
  const since = readTimes(layout, name);
  return numbers.reverse().map((number) => {
    const { revision, image, createdAt, source } = requireRevision(layout, name, number);
    const currentSince = since.get(revision) ?? null;
    const earlier = currentSince === null ? 'unproven' : 'earlier';
    const state = revision === current ? 'current' : earlier;
    return { revision, state, image, createdAt, currentSince, source };
  });
}

/** The time at which each revision last became current. */
function readTimes(layout: Layout, name: StackName): Map<number, string> {
  const times = new Map<number, string>();
  let before: number | undefined;
  for (const generation of readGenerations(layout, MAX_GENERATIONS)) {
    const revision = revisionIn(generation, name);
    if (revision !== undefined && revision !== before) times.set(revision, generation.createdAt);
    before = revision;
  }
  return times;
}

/** The newest `most` generations, oldest first. Blocks. */
function readGenerations(layout: Layout, most: number): Generation[] {
  return readGenerationNumbers(layout)
    .slice(-most)
    .flatMap((number) => readGeneration(layout, number) ?? []);
}

export interface ReleaseEntry {
  readonly generation: number;
  readonly isCurrent: boolean;
  readonly createdAt: string;
  readonly reason: string;
  /** Number of stacks in the generation. */
  readonly stacks: number;
}

/** The newest `most` generations, newest first. Blocks. Throws ERR_STACKSHIM_STACK_CORRUPT. */
export function readReleases(layout: Layout, most: number): ReleaseEntry[] {
  const current = readCurrentGeneration(layout)?.number;
  return readGenerations(layout, most)
    .reverse()
    .map(({ number, createdAt, reason, stacks }) => ({
      generation: number,
      isCurrent: number === current,
      createdAt,
      reason,
      stacks: Object.keys(stacks).length,
    }));
}
