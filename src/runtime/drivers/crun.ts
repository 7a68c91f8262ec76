/** crun opens binds outside of the container and moves them in. So the kernel locks none of their flags, and crun sets all flags again. */
import { removeStateDirectory } from '../state-directory.ts';
import { other } from './other.ts';
import type { RuntimeDriver } from './runtime-driver.ts';

export const crun: RuntimeDriver = {
  ...other,
  kind: 'crun',
  // The first version with idmapped mounts.
  oldestVersion: '1.8',
  refusesHybridCgroups: true,
  removeState: removeStateDirectory,
};
