/** Runs the work of several stacks: a stack after those that it is built on, a few at a time. */
import type { StackName } from '../core/ids.ts';

/** One stack of a plan. */
export interface Planned {
  readonly stack: StackName;
  /** Stacks of the plan that must be done first. They come earlier in the plan. */
  readonly after: readonly StackName[];
}

export interface InOrderOptions<P extends Planned, R> {
  /** How many run at a time. */
  readonly jobs: number;
  /** Must not reject. `done` has the results of all stacks that it is built on. */
  readonly work: (planned: P, done: ReadonlyMap<StackName, R>) => Promise<R>;
}

/** Starts the first stack of the plan that is ready whenever there is room. Resolves to the results in the order of the plan. */
export async function runInOrder<P extends Planned, R>(
  plan: readonly P[],
  { jobs, work }: InOrderOptions<P, R>,
): Promise<readonly R[]> {
  const done = new Map<StackName, R>();
  const waiting = [...plan];
  const running = new Map<StackName, Promise<void>>();
  while (done.size < plan.length) {
    while (running.size < jobs) {
      const next = waiting.findIndex(({ after }) => after.every((stack) => done.has(stack)));
      const [planned] = next === -1 ? [] : waiting.splice(next, 1);
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
