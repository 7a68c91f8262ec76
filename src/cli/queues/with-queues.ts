/** Opens the queues of the store that the command line names, and closes them. */
import { toStackshimError } from '../../core/errors.ts';
import type { Queues } from '../../worker/client/queues.ts';
import type { JsonOption } from '../define/shared-options.ts';
import { statusOfError } from '../exit-status.ts';
import { print, printNote } from '../print/print.ts';
import { reportError } from '../print/printable.ts';
import { readStoreAddress, type StoreOptions } from './store-address.ts';

/** Options that all `queue` commands have. */
export interface QueueOptions extends StoreOptions, JsonOption {
  readonly tenant?: string;
  /** The workers' folders, as this machine sees them. */
  readonly artefacts?: string;
  readonly logs?: string;
}

export async function withQueues<T>(
  options: QueueOptions,
  act: (queues: Queues) => Promise<T>,
): Promise<T> {
  const { url, warning } = readStoreAddress(options, process.env);
  if (warning !== undefined) printNote(`stackshim: ${warning}\n`);
  const { openQueues } = await import('../../worker/client/open-queues.ts');
  const { tenant, artefacts, logs } = options;
  const queues = await openQueues({ store: url, tenant, artefacts, logs });
  try {
    return await act(queues);
  } finally {
    await queues.close();
  }
}

interface EachJob<T> {
  /** `cancel job`: the beginning of messages. */
  readonly operation: string;
  act(queues: Queues, job: string): Promise<T>;
  /** Called in the order of the jobs. */
  print(job: string, done: T): Promise<void> | void;
}

/** Acts on jobs in the given order. Goes on after a failure, which is reported. Resolves to the exit status: the first failed job's, or 0. */
export const forEachJob = <T>(
  jobs: readonly string[],
  options: QueueOptions,
  { operation, act, print: printDone }: EachJob<T>,
): Promise<number> =>
  withQueues(options, async (queues) => {
    let status = 0;
    for (const job of new Set(jobs)) {
      try {
        await printDone(job, await act(queues, job));
      } catch (thrown) {
        const error = toStackshimError(thrown, 'ERR_STACKSHIM_SYSTEM', `${operation} ${job}`);
        reportError(error.toJSON());
        if (status === 0) status = statusOfError(error);
      }
    }
    return status;
  });

export const printName = async (name: string): Promise<void> => await print(`${name}\n`);
