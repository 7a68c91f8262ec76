/** Defines the commands for existing and ended tasks, and the hidden commands that the executable runs as their helpers. */
import { type Command, Option } from 'commander';
import { LIMIT_OPTIONS } from '../../spec/options/limit-options.ts';
import { STORE_OPTIONS } from '../queues/store-address.ts';
import { EXEC_OPTIONS } from './exec-options.ts';
import { defineCommand, JSON_FLAG, NO_TRUNC_FLAG } from './shared-options.ts';

const ID = ['<id>', 'id of a task'] as const;
const IDS = ['<id...>', 'ids of tasks'] as const;
const ALL_IDS = ['<id...>', 'ids of tasks, also of ended ones'] as const;

/** For commands that docker has, too: `--format json` means `--json`. */
const FORMAT_OPTION = new Option('--format <format>', 'print a table or JSON')
  .choices(['table', 'json'])
  .conflicts('json');

const EXEC_HELP = `
The exit status is the command's own, or: 125 stackshim failed, 126 not executable, 127 not found, 128+N ended by signal N.
Write options before ID; everything after ID is the command.`;

const CP_HELP = `
One of the two is ID:PATH, a path in a running or kept task; the other is a path of this machine, or - for a tar.
SRC/. copies what is in a folder. A folder goes into an existing folder, or becomes DST if there is none.`;

export function defineTaskCommands(program: Command): void {
  defineCommand(program, 'ps', {
    about: 'list tasks',
    options: [
      ['-a, --all', 'also list ended tasks that were started with -d or --log'],
      new Option('-q, --quiet', 'print only the ids of tasks').conflicts(['json', 'format']),
      [
        '-f, --filter <key=value…>',
        'list only tasks with this id, stack, status, tenant or label; may be repeated',
      ],
      NO_TRUNC_FLAG,
      FORMAT_OPTION,
      JSON_FLAG,
    ],
    load: async () => (await import('../commands/ps.ts')).ps,
  });
  defineCommand(program, 'kill', {
    about: 'end tasks and remove them',
    args: [IDS],
    options: [['--stop-timeout <duration>', 'time between the stop signal and KILL', '10s']],
    load: async () => (await import('../commands/kill.ts')).kill,
  });
  defineCommand(program, 'reap', {
    about: 'end and remove tasks whose owner has died',
    options: [
      JSON_FLAG,
      new Option('--watch', 'run until stopped, and reap each task when its owner dies').conflicts(
        'wait',
      ),
      ['--wait <task>', 'first wait up to 30 s for the owner of this task to end'],
    ],
    load: async () => (await import('../commands/reap.ts')).reap,
  });
  defineCommand(program, 'doctor', {
    about: 'check what this host supports, and the store of the queues',
    options: [JSON_FLAG, ...STORE_OPTIONS],
    load: async () => (await import('../commands/doctor.ts')).doctor,
  });
  program
    .command('guard-process', { hidden: true })
    .description('remove the tasks of a process when it has died, for that process')
    .argument('<order>', 'which process, as JSON')
    .action(async (order: string) => {
      const { serveGuard } = await import('../../task/abandoned/serve-guard.ts');
      await serveGuard(JSON.parse(order));
    });
  defineLooks(program);
  defineChanges(program);
  defineCommand(program, 'exec', {
    about: 'run a further command in a running task',
    args: [ID, ['<command...>', 'the command']],
    options: EXEC_OPTIONS,
    load: async () => (await import('../commands/exec.ts')).exec,
  })
    .passThroughOptions()
    .addHelpText('after', EXEC_HELP);
  defineCopying(program);
  defineReports(program);
}

function defineLooks(program: Command): void {
  defineCommand(program, 'stats', {
    about: 'show what running tasks use, once a second',
    args: [['[id...]', 'ids of tasks; all running ones by default']],
    options: [
      ['--no-stream', 'look once'],
      FORMAT_OPTION,
      ['--json', 'print a line of JSON once a second'],
    ],
    load: async () => (await import('../commands/stats.ts')).stats,
  });
  defineCommand(program, 'top', {
    about: 'list the processes of a task',
    args: [ID],
    options: [FORMAT_OPTION, JSON_FLAG],
    load: async () => (await import('../commands/top.ts')).top,
    endsAtOnce: true,
  });
  defineCommand(program, 'events', {
    about: 'tell what happens to tasks, until stopped',
    options: [
      [
        '-f, --filter <key=value…>',
        'tell only of tasks with this id, stack, tenant or label, or this event; may be repeated',
      ],
      FORMAT_OPTION,
      ['--json', 'print each event as a line of JSON'],
    ],
    load: async () => (await import('../commands/events.ts')).events,
  });
}

function defineChanges(program: Command): void {
  defineCommand(program, 'pause', {
    about: 'stop all processes of tasks; their time goes on',
    args: [IDS],
    load: async () => (await import('../commands/pause.ts')).pause,
    endsAtOnce: true,
  });
  defineCommand(program, 'unpause', {
    about: 'let paused tasks run again',
    args: [IDS],
    load: async () => (await import('../commands/pause.ts')).unpause,
    endsAtOnce: true,
  });
  const { memory, cpus, pidsLimit, timeout } = LIMIT_OPTIONS;
  defineCommand(program, 'update', {
    about: 'change limits of running tasks',
    args: [IDS],
    options: [
      ...[memory, cpus, pidsLimit].map(({ flags, help }) => [flags, help] as const),
      [timeout.flags, 'limit wall time, counted from the start of the command: 60s'],
      JSON_FLAG,
    ],
    load: async () => (await import('../commands/update.ts')).update,
    endsAtOnce: true,
  });
}

function defineCopying(program: Command): void {
  defineCommand(program, 'cp', {
    about: 'copy files out of a task, or into it',
    args: [
      ['<src>', 'ID:PATH, or a path, or - for a tar from standard input'],
      ['<dst>', 'a path, or - for a tar to standard output, or ID:PATH'],
    ],
    load: async () => (await import('../commands/cp.ts')).cp,
  }).addHelpText('after', CP_HELP);
  program
    .command('copy-process', { hidden: true })
    .description('copy files of a task, for `cp`')
    .argument('<order>', 'what to copy, as JSON')
    .action(async (order: string) => {
      const { serveCopy } = await import('../../task/copying/serve-copy.ts');
      await serveCopy(JSON.parse(order));
    });
}

function defineReports(program: Command): void {
  defineCommand(program, 'logs', {
    about: 'print the output of a task that was started with -d or --log',
    args: [['<id>', 'id of a task, also of an ended one']],
    options: [
      ['-f, --follow', 'go on until the task has ended'],
      ['-n, --tail <lines>', 'print only the last N lines', 'all'],
      ['--since <time>', 'print only newer output: 10m, 2026-01-31T12:00:00Z'],
      ['-t, --timestamps', 'print the time of each line'],
    ],
    load: async () => (await import('../commands/logs.ts')).logs,
  });
  defineCommand(program, 'wait', {
    about: 'wait until tasks have ended, and print their exit statuses',
    args: [ALL_IDS],
    load: async () => (await import('../commands/wait.ts')).wait,
  });
  defineCommand(program, 'inspect', {
    about: 'print everything that is known about tasks, as JSON',
    args: [ALL_IDS],
    load: async () => (await import('../commands/inspect.ts')).inspect,
  });
  defineCommand(program, 'rm', {
    about: 'remove what ended tasks have left',
    args: [ALL_IDS],
    options: [['-f, --force', 'end tasks that still run']],
    load: async () => (await import('../commands/rm.ts')).rm,
  });
}
