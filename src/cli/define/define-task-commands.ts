/** Defines `ps`, `kill`, `reap` and `doctor`, and the hidden command that the executable runs as a guard. Their code is loaded when they are called. */
import { type Command, Option } from 'commander';
import { STORE_OPTIONS } from '../queues/store-address.ts';
import {
  addOptions,
  collectValues,
  formatOption,
  JSON_FLAG,
  NO_TRUNC_FLAG,
  whenCalled,
} from './shared-options.ts';

export function defineTaskCommands(program: Command): void {
  program
    .command('ps')
    .description('list tasks')
    .option('-a, --all', 'also list ended tasks that were started with -d or --log')
    .addOption(
      new Option('-q, --quiet', 'print only the ids of tasks').conflicts(['json', 'format']),
    )
    .option(
      '-f, --filter <key=value>',
      'list only tasks with this id, stack, status, tenant or label; may be repeated',
      collectValues,
    )
    .option(...NO_TRUNC_FLAG)
    .addOption(formatOption())
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/ps.ts')).ps));
  program
    .command('kill')
    .description('end tasks and remove them')
    .argument('<id...>', 'ids of tasks')
    .option('--stop-timeout <duration>', 'time between the stop signal and KILL', '10s')
    .action(whenCalled(async () => (await import('../commands/kill.ts')).kill));
  program
    .command('reap')
    .description('end and remove tasks whose owner has died')
    .option(...JSON_FLAG)
    .addOption(
      new Option('--watch', 'run until stopped, and reap each task when its owner dies').conflicts(
        'wait',
      ),
    )
    .option('--wait <task>', 'first wait up to 30 s for the owner of this task to end')
    .action(whenCalled(async () => (await import('../commands/reap.ts')).reap));
  const doctorCommand = program
    .command('doctor')
    .description('check what this host supports, and the store of the queues')
    .option(...JSON_FLAG);
  addOptions(doctorCommand, STORE_OPTIONS);
  doctorCommand.action(whenCalled(async () => (await import('../commands/doctor.ts')).doctor));
  program
    .command('guard-process', { hidden: true })
    .description('remove the tasks of a process when it has died, for that process')
    .argument('<order>', 'which process, as JSON')
    .action(async (order: string) => {
      const { serveGuard } = await import('../../task/abandoned/serve-guard.ts');
      await serveGuard(JSON.parse(order));
    });
}
