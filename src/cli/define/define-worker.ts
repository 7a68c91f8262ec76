/** Defines `worker`. Its code is loaded when it is called. */
import type { Command } from 'commander';
import { addOptions } from './shared-options.ts';
import { WORKER_OPTIONS, type WorkerLineOptions } from './worker-options.ts';

const MORE = `
SIGTERM and SIGINT end the worker: it takes no more jobs, gives the running tasks the time of --drain, then ends them and hands their jobs back.
A second signal ends the waiting, a third one kills. The exit status is 0 after that, and 1 if the store cannot be used.`;

export function defineWorker(program: Command): void {
  const command = program
    .command('worker')
    .description('take jobs from queues and run each as a task, until stopped')
    .argument('[queue...]', 'names of queues; NAME=4 gets four times as many places as NAME')
    .addHelpText('after', MORE)
    .action(async (queues: readonly string[], options: WorkerLineOptions) => {
      const { worker } = await import('../commands/worker.ts');
      process.exit(await worker(queues, options));
    });
  addOptions(command, WORKER_OPTIONS);
}
