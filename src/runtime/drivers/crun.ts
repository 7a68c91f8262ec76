/** crun: opens binds outside of the container and moves them in, so that nothing of them is locked, and sets all flags anew. */
import { removeStateDirectory } from '../state-directory.ts';
import { other } from './other.ts';
import type { RuntimeDriver } from './runtime-driver.ts';

export const crun: RuntimeDriver = {
  ...other,
  kind: 'crun',
  // Idmapped mounts.
  oldestVersion: '1.8',
  refusesHybridCgroups: true,
  removeState: removeStateDirectory,
};
