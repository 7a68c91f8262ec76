/** Names of stacks and tasks on this host, for a shell that completes a command line. */
import { layoutFrom } from '../core/layout.ts';
import { readCurrentGeneration } from '../stacks/generations.ts';
import { listTaskIds } from '../task/records/read-record.ts';
import type { KnownNames } from './suggest-words.ts';

const layout = layoutFrom({}, process.env);

export const knownNames: KnownNames = {
  stacks: () => Object.keys(readCurrentGeneration(layout)?.stacks ?? {}).sort(),
  tasks: () => listTaskIds(layout),
};
