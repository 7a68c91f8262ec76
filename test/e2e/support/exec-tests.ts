/** Tasks in which the tests of `exec` execute commands; each runs until its test is over. */
import { afterEach } from 'vitest';
import { parseTaskId } from '../../../src/core/ids.ts';
import { type TaskPlaces, taskPlaces } from '../../../src/task/records/task-places.ts';
import {
  type CliOptions,
  type CliResult,
  runCli,
  type StartedCli,
  startCli,
} from '../../support/cli/run-cli.ts';
import { sh } from '../../support/cli/shell.ts';
import {
  type StartedTask,
  type TaskRun,
  type TaskRunner,
  useTaskRunner,
} from '../../support/cli/task-runner.ts';

type More = Partial<CliOptions>;

export interface ExecTests extends TaskRunner {
  /** `stackshim exec ARGS`. */
  exec(args: readonly string[], more?: More): Promise<CliResult>;
  startExec(args: readonly string[], more?: More): StartedCli;
  /** Resolves when the script has printed `ready`. */
  startTask(
    options?: readonly string[],
    script?: string,
  ): Promise<StartedTask & { readonly id: string }>;
  kill(id: string): Promise<CliResult>;
  /** Kills the task; resolves to its result. */
  resultOf(task: StartedTask & { readonly id: string }): Promise<TaskRun['record']>;
  placesOf(id: string): TaskPlaces;
}

/** Registers the hooks of a file. */
export function useExecTests(): ExecTests {
  const runner = useTaskRunner();
  const { installation, start, setPolicy } = runner;
  const { env, layout } = installation;
  let count = 0;
  let tasks: { readonly id: string; readonly task: StartedTask }[] = [];
  const startExec: ExecTests['startExec'] = (args, more = {}) =>
    startCli(['exec', ...args], { ...more, env: { ...env, ...more.env } });
  const kill = (id: string) => runCli(['kill', '--stop-timeout', '0', id], { env });
  afterEach(async () => {
    for (const { id, task } of tasks) {
      await kill(id);
      await task.ended;
    }
    tasks = [];
    setPolicy(null);
  });
  return {
    ...runner,
    startExec,
    exec: (args, more) => startExec(args, more).ended,
    async startTask(options = [], script = 'echo ready; exec sleep 1000') {
      count += 1;
      const id = `task-${count}`;
      const task = start(['--name', id, ...options], sh(script));
      tasks.push({ id, task });
      await task.printed('ready');
      return { id, ...task };
    },
    kill,
    async resultOf({ id, ended }) {
      await kill(id);
      return (await ended).record;
    },
    placesOf: (id) => taskPlaces(layout, parseTaskId(id)),
  };
}
