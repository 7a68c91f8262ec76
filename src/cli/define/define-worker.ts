/** Defines `worker`. */
import type { Command } from 'commander';
import { defineCommand } from './shared-options.ts';
import { WORKER_OPTIONS } from './worker-options.ts';

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
