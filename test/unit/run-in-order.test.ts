/** The order of work on several stacks: each after those that it is built on, as many at a time as allowed. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Planned, runInOrder } from '../../src/build/run-in-order.ts';
import { stackName } from '../support/stacks/stack-store.ts';

/** Stacks `s0`, `s1`, …; each is built on some of those before it. */
const plans = fc
  .array(fc.array(fc.nat({ max: 9 }), { maxLength: 3 }), { minLength: 1, maxLength: 10 })
  .map((needs) =>
    needs.map(
      (below, index): Planned => ({
        stack: stackName(`s${index}`),
        after: [...new Set(below.filter((one) => one < index))].map((one) => stackName(`s${one}`)),
      }),
    ),
  );

it('starts each stack once, after those that it is built on, and never too many', async () => {
  await fc.assert(
    fc.asyncProperty(
      plans,
      fc.integer({ min: 1, max: 4 }),
      fc.scheduler(),
      async (plan, jobs, s) => {
        let running = 0;
        const started: string[] = [];
        const work = s.scheduleFunction(() => Promise.resolve());
        const ended = runInOrder<Planned, string>(plan, jobs, async ({ stack, after }, done) => {
          running += 1;
          expect(running).toBeLessThanOrEqual(jobs);
          for (const below of after) expect(done.get(below)).toBe(`done ${below}`);
          started.push(stack);
          await work();
          running -= 1;
          return `done ${stack}`;
        });
        const results = await s.waitFor(ended);
        expect(results).toEqual(plan.map(({ stack }) => `done ${stack}`));
        expect(started.toSorted()).toEqual(plan.map(({ stack }) => stack).toSorted());
      },
    ),
    { numRuns: 200 },
  );
});
