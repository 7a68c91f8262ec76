/** Whether a task is paused. */
import { readFileSync } from 'node:fs';
import type { CgroupDriver } from '../../cgroup/cgroup-driver.ts';
import { unlessMissing } from '../../core/errors.ts';

/** A file of each cgroup version, and what it contains while the cgroup is frozen, or was told to freeze. */
const FREEZERS = [
  ['freezer.state', /^FR/],
  ['cgroup.freeze', /^1/],
  ['cgroup.events', /^frozen 1$/m],
] as const;

/** False when the cgroup does not exist. */
export const isFrozen = (cgroups: CgroupDriver, cgroupsPath: string): boolean =>
  cgroups
    .existing(cgroupsPath)
    .some((directory) =>
      FREEZERS.some(([file, frozen]) => frozen.test(read(`${directory}/${file}`))),
    );

const read = (file: string) =>
  unlessMissing(() => readFileSync(file, 'latin1'), ['ENOENT', 'ENODEV']) ?? '';
