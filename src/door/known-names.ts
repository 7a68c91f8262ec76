/** The names of stacks and tasks on this host, for shell completion. */
import type { Layout } from '../core/layout.ts';
import { readCurrentGeneration } from '../store/stacks/generations.ts';
import { listTaskIds } from '../task/records/read-record.ts';

/** Each list is read when it is called. */
export interface KnownNames {
  readonly stacks: () => readonly string[];
  readonly tasks: () => readonly string[];
}

export const knownNamesOf = (layout: Layout): KnownNames => ({
  stacks: () => Object.keys(readCurrentGeneration(layout)?.stacks ?? {}).sort(),
  tasks: () => listTaskIds(layout),
});
