/** Decides in which order the folders of several stacks are built. Builds nothing. */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { StackshimError } from '../core/errors.ts';
import type { StackName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { readCurrentGeneration, revisionIn } from '../store/stacks/generations.ts';
import { readBoundedFile } from '../sys/files.ts';
import { parseDockerfile } from './parse-dockerfile.ts';
import type { Planned } from './run-in-order.ts';
import { MAX_READ_BYTES, openStackFolder, toUnreadable } from './stack-folder.ts';

/** A folder that is to be built, and what it is built on. */
export interface PlannedBuild extends Planned {
  /** Absolute, links resolved. */
  readonly directory: string;
  /** The stacks that its Dockerfile begins with or copies from. */
  readonly needs: readonly StackName[];
  /** Those of `needs` that are neither stored nor in the plan: the build will fail. */
  readonly missing: readonly StackName[];
}

/** Beside the stacks' folders; what shells make of `overlay/stacks/*` contains it. */
const SHARED = 'shared';

/**
 * The folders in an order in which each comes after those that it is built on, otherwise as given. A folder that is named twice is built once;
 * `shared` without a Dockerfile is left out. Throws, before anything is built, the errors of `openStackFolder`, ERR_STACKSHIM_INPUT_NOT_FOUND (a
 * folder without a Dockerfile), ERR_STACKSHIM_SPEC_INVALID (two folders of one name, or stacks that are built on each other).
 */
export function planBuilds(
  layout: Layout,
  directories: readonly string[],
): readonly PlannedBuild[] {
  const named = directories.filter((one) => directories.length === 1 || !isShared(one));
  const folders = named.map((directory) => {
    const { path, name } = openStackFolder(directory);
    return { stack: name, directory: path, needs: parseDockerfile(readDockerfile(path)).all };
  });
  const unique = new Map<StackName, (typeof folders)[number]>();
  for (const folder of folders) {
    const same = unique.get(folder.stack);
    if (same !== undefined && same.directory !== folder.directory) throw toTwice(same, folder);
    unique.set(folder.stack, folder);
  }
  const current = readCurrentGeneration(layout);
  const plan = [...unique.values()].map((folder) => ({
    ...folder,
    // A stack may be built on its own current revision.
    after: folder.needs.filter((name) => name !== folder.stack && unique.has(name)),
    missing: folder.needs.filter(
      (name) => !unique.has(name) && revisionIn(current, name) === undefined,
    ),
  }));
  return sortPlan(plan);
}

function sortPlan(plan: readonly PlannedBuild[]): readonly PlannedBuild[] {
  const sorted: PlannedBuild[] = [];
  const placed = new Set<StackName>();
  const waiting = [...plan];
  while (waiting.length > 0) {
    const next = waiting.findIndex(({ after }) => after.every((name) => placed.has(name)));
    const [build] = next === -1 ? [] : waiting.splice(next, 1);
    if (build === undefined) throw toCycle(waiting);
    placed.add(build.stack);
    sorted.push(build);
  }
  return sorted;
}

const isShared = (directory: string) =>
  basename(directory) === SHARED && !existsSync(`${directory}/Dockerfile`);

/** For the order alone: the build reads its own copy. */
function readDockerfile(folder: string): string {
  const path = `${folder}/Dockerfile`;
  try {
    return readBoundedFile(path, { maxBytes: MAX_READ_BYTES });
  } catch (error) {
    throw toUnreadable(path, error);
  }
}

function toTwice(
  one: Pick<PlannedBuild, 'stack' | 'directory'>,
  other: Pick<PlannedBuild, 'directory'>,
): StackshimError {
  return new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `plan builds: ${one.directory} and ${other.directory} are both folders of ${one.stack}`,
    {
      hint: 'a stack has the name of its folder: build one of them, or rename it',
      details: { field: 'dir', stack: one.stack },
    },
  );
}

function toCycle(waiting: readonly PlannedBuild[]): StackshimError {
  const stacks = waiting.map(({ stack }) => stack);
  return new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `plan builds: ${stacks.join(', ')}: each is built on another of them`,
    {
      hint: 'change the Dockerfile of one of them, or build one of them alone',
      details: { field: 'dir', stacks },
    },
  );
}
