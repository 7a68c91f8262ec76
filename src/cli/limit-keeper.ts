/** A process beside `stackshim run` that holds its task to its time while the run itself is stopped (SIGSTOP, Ctrl-Z, a debugger). */
import type { TaskId } from '../core/ids.ts';
import { linuxSystem } from '../sys/linux-system.ts';
import { PLAIN_ENVIRONMENT, pickVariables } from '../sys/program-environment.ts';
import { startProgram } from '../sys/start-program.ts';
import type { TaskEvent } from '../task/events.ts';
import { HOLD_COMMAND } from './hold-command.ts';
import { LAYOUT_VARIABLES } from './layout-variables.ts';

/** Most tasks have ended by then, and need not pay for another process. */
const KEPT_AFTER_MS = 500;

export interface LimitKeeper {
  /** To be told of every event of the task. */
  onEvent(event: TaskEvent): void;
  /** Resolves when the keeper is gone. */
  close(): Promise<void>;
}

/** Starts the keeper once the task has run for half a second. One that cannot be started is missing: the run goes on without it. */
export function keepLimit(): LimitKeeper {
  let timer: NodeJS.Timeout | undefined;
  let stop = () => Promise.resolve();
  return {
    onEvent(event) {
      if (event.type === 'started') {
        timer = setTimeout(() => {
          stop = tryStart(event.id);
        }, KEPT_AFTER_MS);
      }
      if (event.type === 'exited') clearTimeout(timer);
    },
    async close() {
      clearTimeout(timer);
      await stop();
    },
  };
}

function tryStart(id: TaskId): () => Promise<void> {
  try {
    return startKeeper(id);
  } catch {
    // No descriptors left, say. As long as the run is not stopped it holds its task to its time by itself.
    return () => Promise.resolve();
  }
}

/** It ends with this process: the kernel closes its pipe then. Returns what ends it earlier. */
function startKeeper(id: TaskId): () => Promise<void> {
  const env = { ...PLAIN_ENVIRONMENT, ...pickVariables(LAYOUT_VARIABLES, process.env) };
  const [readEnd, writeEnd] = linuxSystem.createPipe();
  const stdio = [readEnd, 'ignore', 'ignore'] as const;
  const keeper = startProgram(process.execPath, [HOLD_COMMAND, id], { env, stdio });
  linuxSystem.close(readEnd);
  const ended = keeper.exited.catch(() => null);
  return async () => {
    keeper.killAll();
    await ended;
    linuxSystem.close(writeEnd);
  };
}
