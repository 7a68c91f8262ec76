/** An update of a running task that is killed half-way: the task's owner still enforces what it must. */
import { expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { taskDir } from '../../src/core/layout.ts';
import { openStackshim } from '../../src/index.ts';
import { openInstallation } from '../../src/task/installation.ts';
import { parseUpdate, updateTask } from '../../src/task/live/update-task.ts';
import { readTimeLimit } from '../../src/task/records/read-time-limit.ts';
import { useInstallation } from '../support/installation/installation.ts';

const { layout, options } = useInstallation();

it('the owner knows of more processors before the task gets them', async () => {
  const task = { stack: 'busybox', command: ['sleep', '1000'], cpus: 0.5, cpuTime: '10s' };
  const handle = await openStackshim(options).start(task);
  for await (const event of handle.events) if (event.type === 'started') break;
  const id = parseTaskId(handle.id);
  const limitFile = `${taskDir(layout, id)}/limit`;
  const { cgroups, ...installation } = openInstallation(layout);
  const told: (number | undefined)[] = [];
  const openLive = async () => {
    const live = await cgroups.openLive();
    const setLimits: typeof live.setLimits = async (path, limits) => {
      told.push(readTimeLimit({ limitFile })?.cpus);
      await live.setLimits(path, limits);
    };
    return { ...live, readUsage: live.readUsage.bind(live), setLimits };
  };
  const watched = {
    ...installation,
    cgroups: Object.create(cgroups, { openLive: { value: openLive } }),
  };
  const update = (cpus: number) => updateTask(watched, id, parseUpdate({ cpus }));
  const stored = () => readTimeLimit({ limitFile })?.cpus;
  await update(0.75);
  expect(told.at(-1)).toBeGreaterThanOrEqual(0.75);
  expect(stored()).toBe(0.75);
  await update(1.5);
  expect([told.at(-1), stored()]).toEqual([1.5, 1.5]);
  await update(0.25);
  expect([told.at(-1), stored()]).toEqual([1.5, 0.25]);
  await handle.kill();
});
