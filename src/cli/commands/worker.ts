/** `stackshim worker`: takes jobs from queues and runs each as a task, until a signal ends it. */
import { toStackshimError } from '../../core/errors.ts';
import { createWorker } from '../../worker/create-worker.ts';
import { startService } from '../../worker/ops/run-service.ts';
import { listenForDrain } from '../drain-signals.ts';
import { statusOfError } from '../exit-status.ts';
import { reportError } from '../printable.ts';
import { openLogOutput } from '../worker-log-output.ts';
import type { WorkerLineOptions } from '../worker-options.ts';
import { toWorkerSettings } from '../worker-settings.ts';

const FAILED = 1;

/** Resolves to the exit status once the worker has drained: 0, or 1 if its store cannot be used. */
export async function worker(
  queues: readonly string[],
  options: WorkerLineOptions,
): Promise<number> {
  const settings = toWorkerSettings(queues, options, process.env);
  const { health, logLevel, warnings, ...workerOptions } = settings;
  const signals = listenForDrain();
  const output = openLogOutput();
  try {
    const service = await startService({
      lockMs: settings.lockMs,
      logLevel,
      writeLog: output.write,
      health,
      env: process.env,
      warnings: warnings.map((message) => ({ code: 'password_visible', message })),
      start: (onEvent) => createWorker({ ...workerOptions, onEvent }),
    });
    await signals.first;
    void signals.second.then(service.stop);
    await service.stop();
    return 0;
  } catch (error) {
    return report(error);
  } finally {
    await output.flush();
  }
}

/** A store that cannot be used has the status of a failure, whatever is wrong with it: the command line was understood. */
function report(error: unknown): number {
  const known = toStackshimError(error, 'ERR_STACKSHIM_INTERNAL', 'worker');
  reportError(known.toJSON());
  return known.code.startsWith('ERR_STACKSHIM_STORE_') ? FAILED : statusOfError(known);
}
