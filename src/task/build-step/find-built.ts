/** Finds what an earlier build step left: its files, or the failure that another task has just seen. */
import { hasCode, unlessMissing } from '../../core/errors.ts';
import type { BuildKey } from '../../core/ids.ts';
import { builtFile } from '../../core/layout.ts';
import type { LayerSource } from '../../core/mount.ts';
import type { BuildFailure } from '../../store/built/built-record.ts';
import { holdBuilt } from '../../store/built/hold-built.ts';
import { mountBuilt } from '../../store/built/mount-built.ts';
import { readBoundedFile } from '../../sys/files.ts';
import type { TaskStopper } from '../ending/stop-task.ts';
import type { Holdings } from '../holdings.ts';
import type { Installation } from '../installation.ts';
import type { TaskPlan } from '../plan-task.ts';

export interface FindBuiltContext {
  readonly installation: Installation;
  readonly plan: TaskPlan;
  readonly stopper: TaskStopper;
  readonly holdings: Holdings;
}

/** The cached layers of `/task`, lowest first, kept by the task's holdings; undefined if there are none or they are damaged. */
export async function useBuilt(
  { installation, plan, stopper, holdings }: FindBuiltContext,
  key: BuildKey,
): Promise<readonly LayerSource[] | undefined> {
  const held = holdBuilt(installation, key, plan.container.spec.tenant);
  if (held === undefined) return undefined;
  let isUsed = false;
  try {
    const { parts } = held.record;
    if (parts === null) return undefined;
    const paths = await mountBuilt({ ...installation, key }, parts, stopper.signal);
    held.noteUse();
    holdings.add('built', held);
    isUsed = true;
    return paths.map((path) => ({ kind: 'mounted', path }));
  } catch (error) {
    if (hasCode(error, 'ERR_STACKSHIM_BUILT_CORRUPT')) return undefined;
    throw error;
  } finally {
    if (!isUsed) held.release();
  }
}

const MAX_LOG_BYTES = 4 * 1024 * 1024;

/** The failure of a build step that ended after `since`: the task that waited would most likely fail, too, unless one of its limits is higher. */
export function findFailure(
  { installation, plan }: FindBuiltContext,
  key: BuildKey,
  since: number,
): { readonly failure: BuildFailure; readonly logTail: string } | undefined {
  const held = holdBuilt(installation, key, plan.container.spec.tenant);
  if (held === undefined) return undefined;
  held.release();
  const { failure, endedAt, bounds } = held.record;
  const { buildTimeoutMs, buildMemoryBytes, buildDiskBytes } = plan.command.spec.limits;
  if (failure === null || Date.parse(endedAt) < since) return undefined;
  // Somebody cancelled that build; another run may succeed.
  if (failure.verdict === 'cancelled') return undefined;
  const hasMore =
    buildTimeoutMs > bounds.timeoutMs ||
    buildMemoryBytes > bounds.memoryBytes ||
    buildDiskBytes > bounds.diskBytes;
  if (hasMore) return undefined;
  const path = builtFile(installation.layout, key, 'log');
  const log = unlessMissing(() => readBoundedFile(path, { maxBytes: MAX_LOG_BYTES })) ?? '';
  return { failure, logTail: tailOf(log) };
}

const TAIL_LINES = 40;
const TAIL_CHARS = 4096;

/** The last 40 lines of a log, at most 4,096 characters, for people who look for the reason of a failure. */
export const tailOf = (log: string): string =>
  log.trimEnd().slice(-TAIL_CHARS).split('\n').slice(-TAIL_LINES).join('\n');
