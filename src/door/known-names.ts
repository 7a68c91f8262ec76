/** Names of stacks and tasks on this host, for a shell that completes a command line. */
import type { Layout } from '../core/layout.ts';
import { readCurrentGeneration } from '../store/stacks/generations.ts';
import { listTaskIds } from '../task/records/read-record.ts';

/** Each is looked up when it is asked for. */
export interface KnownNames {
  readonly stacks: () => readonly string[];
  readonly tasks: () => readonly string[];
}

export const knownNamesOf = (layout: Layout): KnownNames => ({
  stacks: () => Object.keys(readCurrentGeneration(layout)?.stacks ?? {}).sort(),
  tasks: () => listTaskIds(layout),
});
