/** The locks `locks/build.<stack>`: one build of a stack at a time. */
import { StackshimError } from '../core/errors.ts';
import type { StackName } from '../core/ids.ts';
import { type Layout, locksDir } from '../core/layout.ts';
import { guardDisk } from '../layers/guard-disk.ts';
import { takeFileLock } from '../sys/lock.ts';
import type { System } from '../sys/system.ts';
import { ensureDirectory } from '../sys/write-file.ts';

/** Runs `work` as the only build of the stack. Never waits: throws ERR_STACKSHIM_STACK_BUSY when another is under way. */
export async function withBuildLock<T>(
  layout: Layout,
  work: () => Promise<T>,
  options: { readonly system: System; readonly stack: StackName },
): Promise<T> {
  const { system, stack } = options;
  await guardDisk(`make ${locksDir(layout)}`, () => ensureDirectory(locksDir(layout), 0o700));
  const path = `${locksDir(layout)}/build.${stack}`;
  const lock = takeFileLock(system, path, { wait: false });
  if (lock === undefined) {
    throw new StackshimError(
      'ERR_STACKSHIM_STACK_BUSY',
      `build ${stack}: another build of this stack is running`,
      { details: { stack, path } },
    );
  }
  try {
    return await work();
  } finally {
    lock.release();
  }
}
