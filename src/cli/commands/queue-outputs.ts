/** `stackshim queue outputs`: copies the artefacts of a job. */

import { toPrintable } from '../../core/errors.ts';
import { print, printJson } from '../print/print.ts';
import { type QueueOptions, withQueues } from '../queues/with-queues.ts';

export async function queueOutputs(
  job: string,
  folder: string,
  options: QueueOptions,
): Promise<void> {
  const taken = await withQueues(options, (queues) => queues.outputs(job, folder));
  if (options.json) await printJson(taken);
  // A task has chosen the names: a line break must not look like another file.
  else await print(taken.map(({ path }) => `${toPrintable(path)}\n`).join(''));
}
