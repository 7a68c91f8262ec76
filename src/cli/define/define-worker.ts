/** Defines `worker` and its options. */
import type { Command } from 'commander';
import { LOG_LEVELS } from '../../worker/ops/log-levels.ts';
import { STORE_OPTIONS } from '../queues/store-address.ts';
import type { OptionValues } from './plain-line.ts';
import { defineCommand } from './shared-options.ts';

const WORKER_OPTIONS = [
  ...STORE_OPTIONS,
  ['-c, --concurrency <n>', 'run up to N jobs at a time (default: the number of processors)'],
  ['--drain <duration>', 'on SIGTERM, time for the running tasks to end (default: 30s)'],
  ['--lock <duration>', 'time after which a job of a dead worker is taken again (default: 30s)'],
  [
    '--logs <where>',
    'keep output of tasks with the job (job), or in files of this folder (default: job)',
  ],
  [
    '--artefacts <dir>',
    'folder for the outputs that jobs declare; without it such jobs end as error',
  ],
  [
    '--registry <host/prefix>',
    'pull stacks and code packages from here that a job needs and this machine lacks',
  ],
  [
    '--missing <duration>',
    'time for which a job waits for a worker that has its stack and code (default: 10m)',
  ],
  ['--tls-verify <bool>', 'check certificates of the registry (default: true)'],
  ['--authfile <file>', 'credentials of the registry, as docker login writes them'],
  ['--keep-results <duration>', 'time for which ended jobs are kept (default: 7d)'],
  ['--health <address>', 'answer health requests on a socket (/PATH) or a port of 127.0.0.1'],
  ['--health-public', 'accept an address for --health that other machines can reach'],
  [
    '--log-level <level>',
    `log this and everything above: ${LOG_LEVELS.join(', ')} (default: info)`,
  ],
  ['--migrate', 'make or update the tables of a PostgreSQL store, and end without taking jobs'],
] as const;

export type WorkerLineOptions = OptionValues<(typeof WORKER_OPTIONS)[number][0]>;

const MORE = `
SIGTERM and SIGINT end the worker: it takes no more jobs, gives the running tasks the time of --drain, then ends them and hands their jobs back.
A second signal ends the waiting, a third one kills. The exit status is 0 after that, and 1 if the store cannot be used.`;

export function defineWorker(program: Command): void {
  defineCommand(program, 'worker', {
    about: 'take jobs from queues and run each as a task, until stopped',
    args: [['[queue...]', 'names of queues; NAME=4 gets four times as many places as NAME']],
    options: WORKER_OPTIONS,
    load: async () => (await import('../commands/worker.ts')).worker,
    endsAtOnce: true,
  }).addHelpText('after', MORE);
}
