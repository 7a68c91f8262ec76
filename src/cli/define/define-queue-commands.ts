/** Defines the `queue` commands. Their code is loaded when they are called. */
import type { Command } from 'commander';
import { COMMAND_OPTIONS } from '../../spec/options/command-options.ts';
import type { QueueScheduleOptions } from '../commands/queue-schedule.ts';
import { STORE_OPTIONS } from '../queues/store-address.ts';
import type { OptionTable } from './plain-line.ts';
import { JOB_OPTIONS } from './queue-job-options.ts';
import { addOptions, JSON_FLAG, NO_TRUNC_FLAG, whenCalled } from './shared-options.ts';

const QUEUE = ['<queue>', 'name of a queue'] as const;
const JOB = ['<job>', 'name of a job, as queue add prints it'] as const;
const JOBS = ['<job...>', 'names of jobs, as queue add prints them'] as const;
const SCHEDULE = ['<schedule>', 'id of the schedule'] as const;
const TENANT: OptionTable = [['--tenant <tenant>', 'whose jobs (default: those without a tenant)']];
const TENANT_OF_QUEUE: OptionTable = [
  ['--tenant <tenant>', 'only those of this tenant (default: of all)'],
];
const BINDING: OptionTable = [
  ['--unbound', 'leave names of stacks and packages to the worker that takes the job'],
];
const ARTEFACTS: OptionTable = [
  ['--artefacts <dir>', 'the folder where workers keep artefacts, as this machine sees it'],
];
const LOGS: OptionTable = [
  ['--logs <dir>', 'the folder where workers keep logs, if not in the store'],
];

const ADD_HELP = `
What follows -- is the command. Prints the name of the job. With --wait, prints the output of the task and ends
as run does: with the status of the command, or 124 timed out, 125 stackshim failed, 126 not executable,
127 not found, 137 out of memory or output limit, 143 cancelled.`;

export function defineQueueCommands(program: Command): void {
  const queue = program
    .command('queue')
    .description('queue jobs for workers, and look at them, in a store that workers share');
  defineAdd(queue);
  defineJobCommands(queue);
  defineSchedules(queue);
  defineWholeQueue(queue);
}

function defineAdd(queue: Command): void {
  const add = queue
    .command('add')
    .description('queue a job')
    .argument(...QUEUE)
    .argument('[command...]', COMMAND_OPTIONS.command.help)
    .addHelpText('after', ADD_HELP)
    .action(whenCalled(async () => (await import('../commands/queue-add.ts')).queueAdd));
  addOptions(add, [
    ...STORE_OPTIONS,
    ...TENANT,
    ...JOB_OPTIONS,
    ['--delay <duration>', 'do not start the job before this time has passed: 10m'],
    ['--key <text>', 'add nothing if the tenant has a job with this key in the queue'],
    ...BINDING,
    ['--wait', 'print the output of the task, and end as run does'],
    ...LOGS,
    JSON_FLAG,
  ]);
}

function defineJobCommands(queue: Command): void {
  const status = queue
    .command('status')
    .description('show the states of jobs')
    .argument(...JOBS)
    .action(whenCalled(async () => (await import('../commands/queue-status.ts')).queueStatus));
  addOptions(status, [...STORE_OPTIONS, NO_TRUNC_FLAG, JSON_FLAG]);
  const logs = queue
    .command('logs')
    .description('print the output of a job')
    .argument(...JOB)
    .option('-f, --follow', 'go on until the job has ended')
    .option('-n, --tail <lines>', 'print only the last N lines', 'all')
    .option('-t, --timestamps', 'print the time of each line')
    .action(whenCalled(async () => (await import('../commands/queue-logs.ts')).queueLogs));
  addOptions(logs, [...STORE_OPTIONS, ...LOGS]);
  const outputs = queue
    .command('outputs')
    .description('copy the artefacts of an ended job into a folder')
    .argument(...JOB)
    .argument('<dir>', 'the folder, which is made')
    .action(whenCalled(async () => (await import('../commands/queue-outputs.ts')).queueOutputs));
  addOptions(outputs, [...STORE_OPTIONS, ...ARTEFACTS, JSON_FLAG]);
  const cancel = queue
    .command('cancel')
    .description('end jobs, whether they run or not; their records stay')
    .argument(...JOBS)
    .action(whenCalled(async () => (await import('../commands/queue-cancel.ts')).queueCancel));
  addOptions(cancel, STORE_OPTIONS);
  const retry = queue
    .command('retry')
    .description('queue jobs that have ended once more')
    .argument(...JOBS)
    .action(whenCalled(async () => (await import('../commands/queue-retry.ts')).queueRetry));
  addOptions(retry, STORE_OPTIONS);
  const remove = queue
    .command('rm')
    .description('remove jobs that do not run, with their output')
    .argument(...JOBS)
    .action(whenCalled(async () => (await import('../commands/queue-rm.ts')).queueRm));
  addOptions(remove, [...STORE_OPTIONS, ...ARTEFACTS, ...LOGS]);
}

function defineSchedules(queue: Command): void {
  const schedule = queue
    .command('schedule')
    .description('add jobs to a queue by the clock; replaces a schedule with the same id')
    .argument(...QUEUE)
    .argument(...SCHEDULE)
    .argument('[command...]', COMMAND_OPTIONS.command.help)
    .action(
      async (
        name: string,
        id: string,
        command: readonly string[],
        options: QueueScheduleOptions,
      ) => {
        const { queueSchedule } = await import('../commands/queue-schedule.ts');
        await queueSchedule({ queue: name, id, command }, options);
      },
    );
  addOptions(schedule, [
    ...STORE_OPTIONS,
    ...TENANT,
    ['--pattern <cron>', "when, as in crontab(5): '0 3 * * *'"],
    ['--tz <zone>', 'time zone of the pattern: Europe/Berlin (default: UTC)'],
    ['--every <duration>', 'or how often: 15m'],
    ...JOB_OPTIONS,
    [
      '--bound',
      'bind names to digests now; without it, each job uses what is current when it starts',
    ],
    ...BINDING,
    JSON_FLAG,
  ]);
  const schedules = queue
    .command('schedules')
    .description('list the schedules of a queue')
    .argument(...QUEUE)
    .action(
      whenCalled(async () => (await import('../commands/queue-schedules.ts')).queueSchedules),
    );
  addOptions(schedules, [...STORE_OPTIONS, ...TENANT_OF_QUEUE, NO_TRUNC_FLAG, JSON_FLAG]);
  const unschedule = queue
    .command('unschedule')
    .description('remove a schedule and its next job')
    .argument(...QUEUE)
    .argument(...SCHEDULE)
    .action(
      whenCalled(async () => (await import('../commands/queue-unschedule.ts')).queueUnschedule),
    );
  addOptions(unschedule, [...STORE_OPTIONS, ...TENANT]);
}

function defineWholeQueue(queue: Command): void {
  const list = queue
    .command('ls')
    .description('show how many jobs are in which state, by queue and tenant')
    .argument('[queue]', 'name of a queue (default: all of the store)')
    .action(whenCalled(async () => (await import('../commands/queue-ls.ts')).queueLs));
  addOptions(list, [...STORE_OPTIONS, ...TENANT_OF_QUEUE, NO_TRUNC_FLAG, JSON_FLAG]);
  const pause = queue
    .command('pause')
    .description('let no further job of a queue start; running jobs go on')
    .argument(...QUEUE)
    .action(whenCalled(async () => (await import('../commands/queue-pause.ts')).queuePause));
  addOptions(pause, [...STORE_OPTIONS, ...TENANT_OF_QUEUE]);
  const resume = queue
    .command('resume')
    .description('let the jobs of a paused queue start')
    .argument(...QUEUE)
    .action(whenCalled(async () => (await import('../commands/queue-resume.ts')).queueResume));
  addOptions(resume, [...STORE_OPTIONS, ...TENANT_OF_QUEUE]);
  queue
    .command('script')
    .description('print the Lua script by which programs in any language add jobs to Redis')
    .action(whenCalled(async () => (await import('../commands/queue-script.ts')).queueScript));
}
