/** The locks `locks/build.<stack>`: one build of a stack at a time. */
import { StackshimError } from '../core/errors.ts';
import type { StackName } from '../core/ids.ts';
import { type Layout, locksDir } from '../core/layout.ts';
import { withLock } from '../store/with-lock.ts';
import type { System } from '../sys/system.ts';

/** Runs `work` as the only build of the stack. Never waits: throws ERR_STACKSHIM_STACK_BUSY if another build is running. */
export async function withBuildLock<T>(
  layout: Layout,
  work: () => Promise<T>,
  { system, stack }: { readonly system: System; readonly stack: StackName },
): Promise<T> {
  const name = `build.${stack}`;
  const toBusy = () =>
    new StackshimError(
      'ERR_STACKSHIM_STACK_BUSY',
      `build ${stack}: another build of this stack is running`,
      { details: { stack, path: `${locksDir(layout)}/${name}` } },
    );
  return await withLock(layout, name, { system, waitMs: 0, toBusy }, work);
}
