/** Frees what the builder keeps of builds that died and of bases that are gone. */
import { existsSync } from 'node:fs';
import { StackshimError } from '../core/errors.ts';
import { buildDir, type Layout } from '../core/layout.ts';
import { readCurrentGeneration, revisionIn } from '../stacks/generations.ts';
import type { System } from '../sys/system.ts';
import { type Builder, runBuildah } from './builder.ts';
import { prepareBuilderHome, removeBuilderWork } from './builder-home.ts';
import { takeBuilderLock } from './builder-lock.ts';

/** `none`: nothing was ever built here. `busy`: a build is going on. `skipped`: a dry run. */
export type BuilderCollection = 'collected' | 'none' | 'busy' | 'skipped';

const IMAGE_NAME = /^localhost\/([a-z0-9._-]+)$/;

/** Does not wait for a build. Throws as `runBuilder`. */
export async function collectBuilder(
  layout: Layout,
  system: System,
  { dryRun }: { readonly dryRun: boolean },
): Promise<BuilderCollection> {
  if (!existsSync(`${buildDir(layout)}/storage`)) return 'none';
  if (dryRun) return 'skipped';
  const lock = await takeLockNow(layout, system);
  if (lock === undefined) return 'busy';
  try {
    const home = await prepareBuilderHome(layout, {});
    try {
      await clear(layout, { system, lock, home, report: () => undefined, signal: undefined });
    } finally {
      await removeBuilderWork(home);
    }
    return 'collected';
  } finally {
    lock.release();
  }
}

async function takeLockNow(layout: Layout, system: System) {
  try {
    return await takeBuilderLock(layout, system, { waitMs: 0 });
  } catch (error) {
    if (error instanceof StackshimError && error.code === 'ERR_STACKSHIM_STACK_BUSY') {
      return undefined;
    }
    throw error;
  }
}

async function clear(layout: Layout, builder: Builder): Promise<void> {
  await runBuildah(builder, 'clean', ['rm', '--all']);
  await runBuildah(builder, 'clean', ['rmi', '--prune', '--force']);
  const generation = readCurrentGeneration(layout);
  for (const name of await listNames(builder)) {
    const base = IMAGE_NAME.exec(name)?.[1];
    if (base !== undefined && revisionIn(generation, base) !== undefined) continue;
    await runBuildah(builder, 'clean', ['rmi', '--force', name]);
  }
}

async function listNames(builder: Builder): Promise<readonly string[]> {
  const lines: string[] = [];
  const report: Builder['report'] = (progress) => {
    if (progress.kind === 'line') lines.push(progress.text.trim());
  };
  await runBuildah({ ...builder, report }, 'clean', ['images', '--format', '{{.Name}}']);
  return [...new Set(lines)].filter((name) => name !== '' && name !== '<none>');
}
