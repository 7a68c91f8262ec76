/** Runs the work of several stacks, a few at a time, each after the stacks that it is built on. */
import type { StackName } from '../core/ids.ts';

/** One stack of a plan. */
export interface Planned {
  readonly stack: StackName;
  /** The stacks of the plan that must be done first. They come earlier in the plan. */
  readonly after: readonly StackName[];
}

/** Takes the first stack out of `waiting` whose `after` is done; undefined if there is none. */
export function takeReady<P extends Planned>(
  waiting: P[],
  done: ReadonlyMap<StackName, unknown>,
): P | undefined {
  const next = waiting.findIndex(({ after }) => after.every((stack) => done.has(stack)));
  return next === -1 ? undefined : waiting.splice(next, 1)[0];
}

/**
 * Starts the first ready stack of the plan whenever fewer than `jobs` are running. Resolves to the results in the order of the plan.
 *
 * @param work Must not reject. `done` has the results of at least all stacks that the stack is built on.
 */
export async function runInOrder<P extends Planned, R>(
  plan: readonly P[],
  jobs: number,
  work: (planned: P, done: ReadonlyMap<StackName, R>) => Promise<R>,
): Promise<readonly R[]> {
  const done = new Map<StackName, R>();
  const waiting = [...plan];
  const running = new Map<StackName, Promise<void>>();
  while (done.size < plan.length) {
    while (running.size < jobs) {
      const planned = takeReady(waiting, done);
      if (planned === undefined) break;
      const { stack } = planned;
      const finish = async () => {
        done.set(stack, await work(planned, done));
        running.delete(stack);
      };
      running.set(stack, finish());
    }
    if (running.size === 0) throw new Error('a plan has a stack that is never ready');
    await Promise.race(running.values());
  }
  return plan.map(({ stack }) => done.get(stack) as R);
}
