/** `stackshim worker`: takes jobs from queues and runs each as a task, until a signal ends it. */
import { toStackshimError } from '../../core/errors.ts';
import { createWorker } from '../../worker/create-worker.ts';
import { type Service, startService } from '../../worker/ops/run-service.ts';
import { migrateStore } from '../../worker/queue-store/open-store.ts';
import type { WorkerLineOptions } from '../define/define-worker.ts';
import { statusOfError } from '../exit-status.ts';
import { reportError } from '../print/printable.ts';
import { namingOptions } from '../queues/naming-options.ts';
import { readStoreAddress } from '../queues/store-address.ts';
import { openLogOutput } from '../queues/worker-log-output.ts';
import { toWorkerSettings } from '../queues/worker-settings.ts';
import { type DrainSignals, listenForDrain } from '../run/caller-signals.ts';

const FAILED = 1;

/** Resolves to the exit status: 0 once the worker has drained, or the store is migrated; 1 if the store cannot be used. */
export async function worker(
  queues: readonly string[],
  options: WorkerLineOptions,
): Promise<number> {
  try {
    if (options.migrate === true) await migrateStore(readStoreAddress(options, process.env).url);
    else await work(queues, options);
    return 0;
  } catch (error) {
    const known = toStackshimError(error, 'ERR_STACKSHIM_INTERNAL', 'worker');
    reportError(known.toJSON());
    // An unusable store is a failure, never a usage error: the command line was understood.
    return known.code.startsWith('ERR_STACKSHIM_STORE_') ? FAILED : statusOfError(known);
  }
}

async function work(queues: readonly string[], options: WorkerLineOptions): Promise<void> {
  const { health, logLevel, warnings, ...settings } = await namingOptions('worker', () =>
    toWorkerSettings(queues, options, process.env),
  );
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
      start: (onEvent) => createWorker({ ...settings, onEvent }),
    });
    await signals.next();
    void hastenAtEach(signals, service);
    await service.stop();
  } finally {
    await output.flush();
  }
}

async function hastenAtEach(signals: DrainSignals, service: Service): Promise<never> {
  for (;;) {
    await signals.next();
    service.hasten();
  }
}
