/** Every parser that meets outside data. */
import type { FuzzFiles } from '../support/fuzz-files.ts';
import type { FuzzTarget } from '../support/fuzz-target.ts';
import { archiveTargets } from './archive-targets.ts';
import { hostTargets } from './host-targets.ts';
import { imageTargets } from './image-targets.ts';
import { packageTargets } from './package-targets.ts';
import { queueTargets } from './queue-targets.ts';
import { specTargets } from './spec-targets.ts';
import { storedTargets } from './stored-targets.ts';

export const allTargets = (files: FuzzFiles): readonly FuzzTarget[] => [
  ...specTargets(files),
  ...packageTargets(files),
  ...storedTargets(files),
  ...imageTargets(files),
  ...archiveTargets(files),
  ...hostTargets(files),
  ...queueTargets(),
];
