/** When a running task's cgroup is checked, and what is found. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CgroupDriver } from '../../src/cgroup/cgroup-driver.ts';
import { openLimitWatch, type WatchedCause } from '../../src/task/ending/limit-watch.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A cgroup that uses `rate` processors from now on, after the runtime used `usedMs`. */
function fakeCgroup({ usedMs = 40, rate = 0 }) {
  let readings = 0;
  let oomKills: number | null = 0;
  const startedAt = Date.now();
  return {
    readings: () => readings,
    oom: () => {
      oomKills = 1;
    },
    cgroups: {
      readCpuMs: () => {
        readings += 1;
        return usedMs + (Date.now() - startedAt) * rate;
      },
      readOomKills: () => oomKills,
    },
  };
}

function watch(
  { cgroups }: { readonly cgroups: Pick<CgroupDriver, 'readCpuMs' | 'readOomKills'> },
  limits: { cpuTimeMs?: number; cpus?: number; oomGroup?: boolean },
) {
  const causes: { cause: WatchedCause; atMs: number }[] = [];
  const startedAt = Date.now();
  const watching = openLimitWatch({
    cgroups,
    cgroupsPath: '/stackshim-test/t1',
    cpuTimeMs: limits.cpuTimeMs,
    cpus: limits.cpus ?? 1,
    hostCpus: 4,
    oomGroup: limits.oomGroup ?? false,
  });
  watching.start((cause) => causes.push({ cause, atMs: Date.now() - startedAt }));
  return { watching, causes };
}

describe('a limit on processor time', () => {
  test('is noticed within one check', () => {
    const cgroup = fakeCgroup({ rate: 1 });
    const { causes } = watch(cgroup, { cpuTimeMs: 30_000 });
    vi.advanceTimersByTime(30_000);
    expect(causes).toEqual([]);
    vi.advanceTimersByTime(10);
    expect(causes).toEqual([{ cause: 'cpu_time_exceeded', atMs: expect.any(Number) }]);
    vi.advanceTimersByTime(60_000);
    expect(causes).toHaveLength(1);
  });

  test('is checked rarely while it cannot be reached', () => {
    const idle = fakeCgroup({ rate: 0.01 });
    const { watching } = watch(idle, { cpuTimeMs: 3_600_000 });
    vi.advanceTimersByTime(3_600_000);
    expect(idle.readings()).toBeLessThan(200);
    watching.stop();
    const busy = fakeCgroup({ rate: 1 });
    watch(busy, { cpuTimeMs: 60_000 });
    vi.advanceTimersByTime(60_100);
    expect(busy.readings()).toBeLessThan(60);
  });

  test('is noticed in time if a task uses its share of a period at once', () => {
    const burst = fakeCgroup({ rate: 4 });
    const { causes } = watch(burst, { cpuTimeMs: 90, cpus: 1 });
    vi.advanceTimersByTime(30);
    expect(causes).toHaveLength(1);
  });

  test('counts from the start of the watch, and once more at the end', () => {
    const cgroup = fakeCgroup({ usedMs: 5000, rate: 1 });
    const { watching, causes } = watch(cgroup, { cpuTimeMs: 100 });
    expect(watching.judge()).toBeNull();
    watching.stop();
    vi.advanceTimersByTime(101);
    expect(causes).toEqual([]);
    expect(watching.judge()).toBe('cpu_time_exceeded');
  });
});

describe('a group kill', () => {
  test('follows the first kill within milliseconds', () => {
    const cgroup = fakeCgroup({});
    const { causes } = watch(cgroup, { oomGroup: true });
    vi.advanceTimersByTime(1000);
    expect(causes).toEqual([]);
    cgroup.oom();
    vi.advanceTimersByTime(20);
    expect(causes).toEqual([{ cause: 'oom_killed', atMs: expect.any(Number) }]);
  });

  test('does not happen unless it was asked for', () => {
    const cgroup = fakeCgroup({});
    cgroup.oom();
    const { watching } = watch(cgroup, { cpuTimeMs: 100 });
    expect(watching.judge()).toBeNull();
  });
});

test.each([
  ['processor time', { cpuTimeMs: 100 }],
  ['kills for memory', { oomGroup: true }],
])('a limit on %s that cannot be checked is refused', (_, limits) => {
  const cgroups = { readCpuMs: () => null, readOomKills: () => null };
  const refused = expect.objectContaining({ code: 'ERR_STACKSHIM_HOST_UNSUPPORTED' });
  expect(() => watch({ cgroups }, limits)).toThrow(refused);
});
