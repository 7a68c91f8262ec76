/** Decides in which order the folders of several stacks are built. Builds nothing. */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { StackshimError } from '../core/errors.ts';
import type { StackName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { readCurrentGeneration, revisionIn } from '../store/stacks/generations.ts';
import { type Planned, takeReady } from './run-in-order.ts';
import { openStackFolder, readDockerfile } from './stack-folder.ts';
import { parseDockerfile } from './stack-source.ts';

/** A folder to build, and the stacks that it is built on. */
export interface PlannedBuild extends Planned {
  /** Absolute path, links resolved. */
  readonly directory: string;
  /** The stacks that its Dockerfile begins with or copies from. */
  readonly needs: readonly StackName[];
  /** The stacks of `needs` that are neither stored nor planned: the build will fail. */
  readonly missing: readonly StackName[];
}

/** The folder `shared` is beside the stacks' folders, so `overlay/stacks/*` expands to it, too. */
const SHARED = 'shared';

/**
 * Returns the folders with bases before the stacks that are built on them, otherwise as given. A folder named twice is built once; `shared`
 * without a Dockerfile is left out. Throws before anything is built: the errors of `openStackFolder`, ERR_STACKSHIM_INPUT_NOT_FOUND (a
 * folder without a Dockerfile), ERR_STACKSHIM_SPEC_INVALID (two folders of one name, or stacks that are built on each other).
 */
export function planBuilds(
  layout: Layout,
  directories: readonly string[],
): readonly PlannedBuild[] {
  const named = directories.filter((one) => directories.length === 1 || !isShared(one));
  const folders = named.map((directory) => {
    const { path, name } = openStackFolder(directory);
    // Only for the order: the build reads its own copy.
    return { stack: name, directory: path, needs: parseDockerfile(readDockerfile(path)).all };
  });
  const unique = new Map<StackName, (typeof folders)[number]>();
  for (const folder of folders) {
    const { stack, directory } = folder;
    const same = unique.get(stack)?.directory ?? directory;
    if (same !== directory) throw toTwice(stack, same, directory);
    unique.set(stack, folder);
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
  const placed = new Map<StackName, PlannedBuild>();
  const waiting = [...plan];
  while (waiting.length > 0) {
    const build = takeReady(waiting, placed);
    if (build === undefined) throw toCycle(waiting);
    placed.set(build.stack, build);
  }
  return [...placed.values()];
}

const isShared = (directory: string) =>
  basename(directory) === SHARED && !existsSync(`${directory}/Dockerfile`);

function toTwice(stack: StackName, one: string, other: string): StackshimError {
  const text = `plan builds: ${one} and ${other} are both folders of ${stack}`;
  return new StackshimError('ERR_STACKSHIM_SPEC_INVALID', text, {
    hint: 'a stack has the name of its folder: build one of them, or rename it',
    details: { field: 'dir', stack },
  });
}

function toCycle(waiting: readonly PlannedBuild[]): StackshimError {
  const stacks = waiting.map(({ stack }) => stack);
  const text = `plan builds: ${stacks.join(', ')}: each is built on another of them`;
  return new StackshimError('ERR_STACKSHIM_SPEC_INVALID', text, {
    hint: 'change the Dockerfile of one of them, or build one of them alone',
    details: { field: 'dir', stacks },
  });
}
