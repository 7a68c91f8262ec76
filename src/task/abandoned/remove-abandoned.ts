/** Removes tasks without a living owner, many at once. */
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import type { TaskId } from '../../core/ids.ts';
import { tenantsDir } from '../../core/layout.ts';
import { pause } from '../../core/pause.ts';
import { readMounts } from '../../sys/mountinfo.ts';
import { findProcesses, signalProcess } from '../../sys/processes.ts';
import { readLoopDevices } from '../disk/scratch-files.ts';
import { type Removal, removeTask } from '../ending/remove-task.ts';
import type { Installation } from '../installation.ts';
import type { TaskExit, TaskRecord } from '../records/record.ts';
import type { TaskPlaces } from '../records/task-places.ts';

export interface AbandonedTask extends Pick<TaskRecord, 'bindCount' | 'runtime' | 'exit'> {
  readonly places: TaskPlaces;
}

/** A task without an owner, and the outcome of its removal. */
export interface ReapedTask extends Removal {
  readonly id: TaskId;
  /** The command's exit, if the owner recorded it before it died. */
  readonly exit?: TaskExit;
}

/** A runtime that survives KILL for this long is stuck in the kernel; the later checks find what it still creates. */
const RUNTIME_GONE_WITHIN_MS = 5_000;

/**
 * Removes the tasks concurrently and returns the outcomes in the same order. Never rejects because something cannot be
 * removed. First ends runtimes that still work on a task as orphans: they would create again what is being removed.
 */
export async function removeAbandoned(
  installation: Installation,
  tasks: readonly AbandonedTask[],
): Promise<readonly ReapedTask[]> {
  await endRuntimes(new Set(tasks.map(({ places }) => places.bundle)));
  detachMounts(installation, tasks);
  const loops = readLoopDevices();
  return await Promise.all(
    tasks.map(async (task) => {
      const removal = await removeTask(installation, { ...task, keep: false, loops });
      const { exit } = task;
      if (existsSync(task.places.reportDir)) {
        const { settleReport } = await import('../reports/settle-report.ts');
        await settleReport(task.places.reportDir, exit, removal);
      }
      return { id: task.places.id, ...removal, ...(exit === undefined ? {} : { exit }) };
    }),
  );
}

/** Removes the cgroups and folders of tenants whose last tasks lost their owners. */
export async function removeTenants(installation: Installation): Promise<void> {
  if (!existsSync(tenantsDir(installation.layout))) return;
  const { removeIdleTenants } = await import('../admission/join-tenant.ts');
  await removeIdleTenants(installation);
}

/** Kills the runtimes that were called for these bundles, found by their argument after `--bundle`. */
async function endRuntimes(bundles: ReadonlySet<string>): Promise<void> {
  const isRuntime = (args: readonly string[]) =>
    bundles.has(args[args.indexOf('--bundle') + 1] ?? '');
  const endsAt = performance.now() + RUNTIME_GONE_WITHIN_MS;
  for (;;) {
    const left = findProcesses(isRuntime);
    if (left.length === 0 || performance.now() > endsAt) return;
    for (const pid of left) signalProcess(pid, constants.signals.SIGKILL);
    await pause(5);
  }
}

/** Detaches the mounts below the tasks' folders, in reverse order. */
function detachMounts({ system }: Installation, tasks: readonly AbandonedTask[]): void {
  const folders = new Set(tasks.flatMap(({ places }) => [places.taskDir, places.scratchDir]));
  for (const { mountPoint } of [...readMounts()].reverse()) {
    let above = dirname(mountPoint);
    while (above.length > 1 && !folders.has(above)) above = dirname(above);
    if (folders.has(above)) system.detachMount(mountPoint);
  }
}
