/** Defines the commands that look at running tasks and change them. Their code is loaded when they are called. */
import { type Command, Option } from 'commander';
import { LIMIT_OPTIONS } from '../../spec/options/limit-options.ts';
import type { UpdateCommandOptions } from '../commands/update.ts';
import {
  collectValues,
  type FormatOption,
  formatOption,
  JSON_FLAG,
  whenCalled,
} from './shared-options.ts';

/** Commands that ask processes of a task end at once: the engine would wait for an answer that may never come. */
export function defineLiveCommands(program: Command): void {
  defineLooks(program);
  program
    .command('pause')
    .description('stop all processes of tasks; their time goes on')
    .argument('<id...>', 'ids of tasks')
    .action(async (ids: readonly string[]) => {
      const { pause } = await import('../commands/pause.ts');
      process.exit(await pause(ids));
    });
  program
    .command('unpause')
    .description('let paused tasks run again')
    .argument('<id...>', 'ids of tasks')
    .action(async (ids: readonly string[]) => {
      const { unpause } = await import('../commands/unpause.ts');
      process.exit(await unpause(ids));
    });
  const { memory, cpus, pidsLimit, timeout } = LIMIT_OPTIONS;
  program
    .command('update')
    .description('change limits of running tasks')
    .argument('<id...>', 'ids of tasks')
    .option(memory.flags, memory.help)
    .option(cpus.flags, cpus.help)
    .option(pidsLimit.flags, pidsLimit.help)
    .option(timeout.flags, 'limit wall time, counted from the start of the command: 60s')
    .option(...JSON_FLAG)
    .action(async (ids: readonly string[], options: UpdateCommandOptions) => {
      const { update } = await import('../commands/update.ts');
      process.exit(await update(ids, options));
    });
}

function defineLooks(program: Command): void {
  program
    .command('stats')
    .description('show what running tasks use, once a second')
    .argument('[id...]', 'ids of tasks; all running ones by default')
    .option('--no-stream', 'look once')
    .addOption(formatOption())
    .option('--json', 'print a line of JSON once a second')
    .action(whenCalled(async () => (await import('../commands/stats.ts')).stats));
  program
    .command('top')
    .description('list the processes of a task')
    .argument('<id>', 'id of a task')
    .addOption(formatOption())
    .option(...JSON_FLAG)
    .action(async (id: string, options: FormatOption) => {
      const { top } = await import('../commands/top.ts');
      await top(id, options);
      process.exit();
    });
  program
    .command('events')
    .description('tell what happens to tasks, until stopped')
    .addOption(
      new Option(
        '-f, --filter <key=value>',
        'tell only of tasks with this id, stack, tenant or label, or this event; may be repeated',
      ).argParser(collectValues),
    )
    .addOption(formatOption())
    .option('--json', 'print each event as a line of JSON')
    .action(whenCalled(async () => (await import('../commands/events.ts')).events));
}
