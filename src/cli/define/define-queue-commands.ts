/** Defines the `queue` commands. */
import type { Command } from 'commander';
import { COMMAND_OPTIONS } from '../../spec/options/command-options.ts';
import { STORE_OPTIONS } from '../queues/store-address.ts';
import { JOB_OPTIONS } from './queue-job-options.ts';
import { defineCommand, JSON_FLAG, NO_TRUNC_FLAG } from './shared-options.ts';

const QUEUE = ['<queue>', 'name of a queue'] as const;
const JOB = ['<job>', 'name of a job, as queue add prints it'] as const;
const JOBS = ['<job...>', 'names of jobs, as queue add prints them'] as const;
const SCHEDULE = ['<schedule>', 'id of the schedule'] as const;
const COMMAND = ['[command...]', COMMAND_OPTIONS.command.help] as const;
const TENANT = ['--tenant <tenant>', 'whose jobs (default: those without a tenant)'] as const;
const TENANT_OF_QUEUE = [
  '--tenant <tenant>',
  'only those of this tenant (default: of all)',
] as const;
const UNBOUND = [
  '--unbound',
  'leave names of stacks and packages to the worker that takes the job',
] as const;
const ARTEFACTS = [
  '--artefacts <dir>',
  'the folder where workers keep artefacts, as this machine sees it',
] as const;
const LOGS = ['--logs <dir>', 'the folder where workers keep logs, if not in the store'] as const;

const ADD_HELP = `
What follows -- is the command. Prints the name of the job. With --wait, prints the output of the task and ends
as run does: with the status of the command, or 124 timed out, 125 stackshim failed, 126 not executable,
127 not found, 137 out of memory or output limit, 143 cancelled.`;

export function defineQueueCommands(program: Command): void {
  const queue = program
    .command('queue')
    .description('queue jobs for workers, and look at them, in a store that workers share');
  defineCommand(queue, 'add', {
    about: 'queue a job',
    args: [QUEUE, COMMAND],
    options: [
      ...STORE_OPTIONS,
      TENANT,
      ...JOB_OPTIONS,
      ['--delay <duration>', 'do not start the job before this time has passed: 10m'],
      ['--key <text>', 'add nothing if the tenant has a job with this key in the queue'],
      UNBOUND,
      ['--wait', 'print the output of the task, and end as run does'],
      LOGS,
      JSON_FLAG,
    ],
    load: async () => (await import('../commands/queue-add.ts')).queueAdd,
  }).addHelpText('after', ADD_HELP);
  defineJobCommands(queue);
  defineSchedules(queue);
  defineWholeQueue(queue);
}

function defineJobCommands(queue: Command): void {
  defineCommand(queue, 'status', {
    about: 'show the states of jobs',
    args: [JOBS],
    options: [...STORE_OPTIONS, NO_TRUNC_FLAG, JSON_FLAG],
    load: async () => (await import('../commands/queue.ts')).queueStatus,
  });
  defineCommand(queue, 'logs', {
    about: 'print the output of a job',
    args: [JOB],
    options: [
      ['-f, --follow', 'go on until the job has ended'],
      ['-n, --tail <lines>', 'print only the last N lines', 'all'],
      ['-t, --timestamps', 'print the time of each line'],
      ...STORE_OPTIONS,
      LOGS,
    ],
    load: async () => (await import('../commands/queue.ts')).queueLogs,
  });
  defineCommand(queue, 'outputs', {
    about: 'copy the artefacts of an ended job into a folder',
    args: [JOB, ['<dir>', 'the folder, which is made']],
    options: [...STORE_OPTIONS, ARTEFACTS, JSON_FLAG],
    load: async () => (await import('../commands/queue.ts')).queueOutputs,
  });
  defineCommand(queue, 'cancel', {
    about: 'end jobs, whether they run or not; their records stay',
    args: [JOBS],
    options: STORE_OPTIONS,
    load: async () => (await import('../commands/queue.ts')).queueCancel,
  });
  defineCommand(queue, 'retry', {
    about: 'queue jobs that have ended once more',
    args: [JOBS],
    options: STORE_OPTIONS,
    load: async () => (await import('../commands/queue.ts')).queueRetry,
  });
  defineCommand(queue, 'rm', {
    about: 'remove jobs that do not run, with their output',
    args: [JOBS],
    options: [...STORE_OPTIONS, ARTEFACTS, LOGS],
    load: async () => (await import('../commands/queue.ts')).queueRm,
  });
}

function defineSchedules(queue: Command): void {
  defineCommand(queue, 'schedule', {
    about: 'add jobs to a queue by the clock; replaces a schedule with the same id',
    args: [QUEUE, SCHEDULE, COMMAND],
    options: [
      ...STORE_OPTIONS,
      TENANT,
      ['--pattern <cron>', "when, as in crontab(5): '0 3 * * *'"],
      ['--tz <zone>', 'time zone of the pattern: Europe/Berlin (default: UTC)'],
      ['--every <duration>', 'or how often: 15m'],
      ...JOB_OPTIONS,
      [
        '--bound',
        'bind names to digests now; without it, each job uses what is current when it starts',
      ],
      UNBOUND,
      JSON_FLAG,
    ],
    load: async () => (await import('../commands/queue.ts')).queueSchedule,
  });
  defineCommand(queue, 'schedules', {
    about: 'list the schedules of a queue',
    args: [QUEUE],
    options: [...STORE_OPTIONS, TENANT_OF_QUEUE, NO_TRUNC_FLAG, JSON_FLAG],
    load: async () => (await import('../commands/queue.ts')).queueSchedules,
  });
  defineCommand(queue, 'unschedule', {
    about: 'remove a schedule and its next job',
    args: [QUEUE, SCHEDULE],
    options: [...STORE_OPTIONS, TENANT],
    load: async () => (await import('../commands/queue.ts')).queueUnschedule,
  });
}

function defineWholeQueue(queue: Command): void {
  defineCommand(queue, 'ls', {
    about: 'show how many jobs are in which state, by queue and tenant',
    args: [['[queue]', 'name of a queue (default: all of the store)']],
    options: [...STORE_OPTIONS, TENANT_OF_QUEUE, NO_TRUNC_FLAG, JSON_FLAG],
    load: async () => (await import('../commands/queue.ts')).queueLs,
  });
  defineCommand(queue, 'pause', {
    about: 'let no further job of a queue start; running jobs go on',
    args: [QUEUE],
    options: [...STORE_OPTIONS, TENANT_OF_QUEUE],
    load: async () => (await import('../commands/queue.ts')).queuePause,
  });
  defineCommand(queue, 'resume', {
    about: 'let the jobs of a paused queue start',
    args: [QUEUE],
    options: [...STORE_OPTIONS, TENANT_OF_QUEUE],
    load: async () => (await import('../commands/queue.ts')).queueResume,
  });
  defineCommand(queue, 'script', {
    about: 'print the Lua script by which programs in any language add jobs to Redis',
    load: async () => (await import('../commands/queue.ts')).queueScript,
  });
}
