/** Runs a recorded task to its end: create, start, wait, account. Never rejects. The caller removes the task next. */
import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { scratchDir } from '../core/layout.ts';
import { driverOf } from '../runtime/drivers/driver-of.ts';
import type { ExitSource } from '../runtime/exit-source.ts';
import { type AccountContext, accountTask, cutOffOutput, type Execution } from './account-task.ts';
import type { SetUpTurn } from './admission/set-up-turns.ts';
import { type CreateContext, type CreatedTask, createTask } from './create-task.ts';
import { openDiskWatch } from './disk/disk-watch.ts';
import type { TaskPlan } from './plan-task.ts';
import { toSetupError } from './setup-error.ts';
import {
  type StartContext,
  type StartedCommand,
  startCommand,
  storeTimeLimit,
} from './start-command.ts';

export interface ExecutionContext
  extends Omit<CreateContext, 'signal'>,
    AccountContext,
    Pick<StartContext, 'deadlineAt'> {
  /** Ended when the container exists. */
  readonly setUp: SetUpTurn;
  readonly stdin: Readable | undefined;
}

export async function executeTask(plan: TaskPlan, context: ExecutionContext): Promise<Execution> {
  const { holdings, stopper, emit } = context;
  try {
    const created = await createTask(plan, { ...context, signal: stopper.signal });
    context.setUp.end();
    emit({ type: 'created', id: plan.container.places.id, pid: created.init.pid });
    try {
      return await runCreated(plan, created, context);
    } finally {
      await created.detachMounts();
    }
  } catch (thrown) {
    const { places } = plan.container;
    const error = toSetupError(thrown, places);
    // Another process that ends the task kills the init while the container is created.
    if (existsSync(places.cancelFile)) stopper.kill('cancelled');
    const cause = stopper.end();
    return { exit: null, usage: null, wallMs: null, diskReport: null, error, cause };
  } finally {
    holdings.get('streams')?.close();
  }
}

async function runCreated(
  plan: TaskPlan,
  created: CreatedTask,
  context: ExecutionContext,
): Promise<Execution> {
  const { installation, clock, stopper, output, emit } = context;
  const { system, exits } = installation;
  const { places } = plan.container;
  const { id, cgroupsPath, cancelFile } = places;
  const progress = context.holdings.get('progress');
  const { pid } = created.init;
  const pidfd = system.openPidfd(pid);
  let started: StartedCommand | undefined;
  let watched: ExitSource | undefined;
  try {
    const driver = driverOf(plan.container.runtime);
    watched = driver.watchExit({ exits, pid, pidfd }, places);
    const { exited } = watched;
    created.streams.connect(output, context.stdin);
    const cutOff = cutOffOutput(plan, exited, context);
    const signalInside = driver.signaller?.(places);
    stopper.attach({ pid, pidfd, cgroupsPath, signalInside });
    if (existsSync(cancelFile)) stopper.kill('cancelled');
    // The command may run from here on: its time counts, even while this process does something else.
    clock.enter('run');
    const startedAt = performance.now();
    const hasEnded = () => system.hasEnded(pidfd);
    const starting = startCommand(plan, created, { ...context, exited, hasEnded, startedAt });
    // Done while the init becomes the command.
    storeTimeLimit(plan, startedAt, context.deadlineAt);
    void created.detachMounts();
    started = await starting;
    const { disk } = created;
    const diskWatch = openDiskWatch(disk, {
      hostFolder: scratchDir(installation.layout),
      onFull() {
        // Nothing else enforces the disk limit.
        if (disk.mechanism === 'sampling') stopper.kill('disk_full');
      },
    });
    if (started.hasStarted) {
      diskWatch.start();
      progress?.watch((text) => emit({ type: 'progress', id, text }));
    }
    // Output must follow the `started` event, however soon the command writes.
    output.release();
    const running = { started, watched, startedAt, diskWatch, cutOff };
    return await accountTask(plan, running, context);
  } finally {
    started?.stopWatching();
    watched?.stop();
    progress?.close();
    stopper.end();
    output.finish();
    system.close(pidfd);
  }
}
