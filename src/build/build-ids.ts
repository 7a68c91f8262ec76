/** Claims the ids for a build's steps: a build range that no other build and no task on the machine uses. */
import { StackshimError } from '../core/errors.ts';
import { BUILD_RANGE_COUNT, FIRST_BUILD_ID, IDS_PER_SLOT } from '../core/host-ids.ts';
import type { Layout } from '../core/layout.ts';
import type { IdRange } from '../core/mount.ts';
import { type FileLock, takeFileLock } from '../sys/lock.ts';
import type { System } from '../sys/system.ts';
import { ensureOwnFolder } from '../sys/trusted-path.ts';

export interface BuildIds {
  /** The host ids that the steps see as 0 to 65535. */
  readonly ids: IdRange;
  /** Pass the lock to the program that runs the steps: the range becomes free when the last step is gone. The caller releases the lock. */
  readonly lock: FileLock;
}

/** Claims a free range; never waits. Throws ERR_STACKSHIM_STACK_BUSY, ERR_STACKSHIM_HOST_UNSUPPORTED. */
export function claimBuildIds(system: System, layout: Layout): BuildIds {
  ensureOwnFolder(layout.slots);
  for (let index = 0; index < BUILD_RANGE_COUNT; index += 1) {
    const lock = takeFileLock(system, `${layout.slots}/build.${index}`, { wait: false });
    if (lock === undefined) continue;
    return { ids: { base: FIRST_BUILD_ID + index * IDS_PER_SLOT, size: IDS_PER_SLOT }, lock };
  }
  const message = `claim ids for a build: all ${BUILD_RANGE_COUNT} ranges of this machine are held by running builds`;
  const details = { builds: BUILD_RANGE_COUNT };
  throw new StackshimError('ERR_STACKSHIM_STACK_BUSY', message, { details });
}
