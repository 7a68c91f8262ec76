/** Defines `ps`, `kill`, `reap` and `doctor`. Their code is loaded when they are called. */
import { type Command, Option } from 'commander';
import type { KillCommandOptions } from './end-tasks.ts';
import { JSON_FLAG, type JsonOption } from './json-option.ts';
import type { ReapCommandOptions } from './reap-abandoned.ts';

export function defineTaskCommands(program: Command): void {
  program
    .command('ps')
    .description('list tasks')
    .option(...JSON_FLAG)
    .action(async (options: JsonOption) => {
      const { showTasks } = await import('./show-tasks.ts');
      process.exitCode = await showTasks(options);
    });
  program
    .command('kill')
    .description('end tasks and remove them')
    .argument('<id...>', 'ids of tasks')
    .option('--stop-timeout <duration>', 'time between the stop signal and KILL', '10s')
    .action(async (ids: readonly string[], options: KillCommandOptions) => {
      const { endTasks } = await import('./end-tasks.ts');
      process.exitCode = await endTasks(ids, options);
    });
  program
    .command('reap')
    .description('end and remove tasks whose owner has died')
    .option(...JSON_FLAG)
    .addOption(
      new Option('--watch', 'run until stopped, and reap each task when its owner dies').conflicts(
        'wait',
      ),
    )
    .option('--wait <id>', 'first wait up to 30 s for the owner of this task to end')
    .action(async (options: ReapCommandOptions) => {
      const { reapAbandoned } = await import('./reap-abandoned.ts');
      process.exitCode = await reapAbandoned(options);
    });
  program
    .command('doctor')
    .description('check what this host supports')
    .option(...JSON_FLAG)
    .action(async (options: JsonOption) => {
      const { showDiagnosis } = await import('./show-diagnosis.ts');
      process.exitCode = await showDiagnosis(options);
    });
}
