/** Generations: immutable maps of every stack to its revision; the link `current` names one. */
import { readlinkSync } from 'node:fs';
import { errnoCodeOf, messageOf } from '../../core/errors.ts';
import type { StackName } from '../../core/ids.ts';
import { currentLink, generationsDir, type Layout } from '../../core/layout.ts';
import { date, mapOf, optional } from '../../core/read-fields.ts';
import {
  number as anyNumber,
  line,
  readNumbers,
  readStoredJson,
  stackName,
  storedFields,
  toCorrupt,
} from '../stored-json.ts';

export interface Generation {
  readonly number: number;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** The reason for people. */
  readonly reason: string;
  /** The generation to which undoing this one leads back; absent in the first generation. */
  readonly previous?: number | undefined;
  /** Use {@link revisionIn} for look-ups: a stack may be called `constructor`. */
  readonly stacks: Readonly<Record<StackName, number>>;
}

const reader = storedFields<Generation>({
  number: anyNumber,
  createdAt: date,
  reason: line,
  previous: optional(anyNumber),
  stacks: mapOf(anyNumber, stackName),
});

const LINK = { code: 'ERR_STACKSHIM_STACK_CORRUPT', what: 'link' } as const;
const FILE = { code: 'ERR_STACKSHIM_STACK_CORRUPT', what: 'generation file' } as const;
const MAX_SHOWN_CHARS = 200;
const TARGET = /^generations\/([1-9][0-9]{0,8})\.json$/;

export const generationFile = (layout: Layout, number: number) =>
  `${generationsDir(layout)}/${number}.json`;

/** The target of the link `current`; undefined if no stack exists yet. One readlink(2). */
export function readCurrentTarget(layout: Layout): string | undefined {
  const link = currentLink(layout);
  try {
    return readlinkSync(link);
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return undefined;
    throw toCorrupt(link, messageOf(error), { ...LINK, cause: error });
  }
}

/** Reads the generation that a target of `current` names. Throws ERR_STACKSHIM_STACK_CORRUPT. */
export function readGenerationAt(layout: Layout, target: string): Generation {
  const digits = TARGET.exec(target)?.[1];
  if (digits === undefined) {
    const shown = JSON.stringify(target.slice(0, MAX_SHOWN_CHARS));
    throw toCorrupt(currentLink(layout), `points at ${shown}`, LINK);
  }
  const generation = readGeneration(layout, Number(digits));
  if (generation !== undefined) return generation;
  throw toCorrupt(generationFile(layout, Number(digits)), 'missing', FILE);
}

/** Reads a stored generation; undefined if the number does not exist. Throws ERR_STACKSHIM_STACK_CORRUPT if the file is damaged. */
export function readGeneration(layout: Layout, number: number): Generation | undefined {
  const path = generationFile(layout, number);
  const generation = readStoredJson(path, { ...FILE, reader });
  if (generation === undefined || generation.number === number) return generation;
  throw toCorrupt(path, `contains number ${generation.number}`, FILE);
}

/** Reads the current generation, not cached; undefined if no stack exists yet. */
export function readCurrentGeneration(layout: Layout): Generation | undefined {
  const target = readCurrentTarget(layout);
  return target === undefined ? undefined : readGenerationAt(layout, target);
}

/** Numbers of the stored generations, ascending. Some may never have become current; collection removes old ones. */
export const readGenerationNumbers = (layout: Layout): number[] =>
  readNumbers(generationsDir(layout));

/** The revision of a stack in a generation; undefined if the generation does not name the stack. */
export function revisionIn(generation: Generation | undefined, name: string): number | undefined {
  if (generation === undefined || !Object.hasOwn(generation.stacks, name)) return undefined;
  return generation.stacks[name as StackName];
}
