/**
 * A library process that runs thousands of tasks holds no more at the end than half-way. Growth of the whole machine is judged per task
 * and generously, because other processes run on it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { useInstallation } from '../support/installation/installation.ts';
import { isFullRun } from '../support/timing/full-run.ts';

const { env } = useInstallation();
const script = fileURLToPath(new URL('../fixtures/run-for-long.mjs', import.meta.url));
const TASKS = isFullRun ? 20_000 : 2_000;
const SAMPLES = 40;

type Sample = Readonly<Record<string, number>>;

/** The steepest slope, per task, of the line through the second half of the samples. */
const STEEPEST: Readonly<Record<string, number>> = {
  // A leaked spec or result is larger than this; code that the engine compiles late is smaller.
  heapKib: isFullRun ? 0.2 : 1,
  rssKib: isFullRun ? 0.5 : 4,
  dentries: 20,
  slabKib: 20,
  machineMounts: 0.1,
  machineCgroups: 0.5,
};
/** Must not be larger at the end than half-way, not even by one. */
const EXACT = ['files', 'mounts', 'taskFolders', 'children'];

it(`a process is unchanged after ${TASKS} tasks`, { timeout: 7_200_000 }, async () => {
  const samples = await runForLong();
  expect(samples).toHaveLength(SAMPLES);
  const half = samples.slice(SAMPLES / 2);
  const [first, last] = [half[0], half.at(-1)];
  console.log(`soak: ${JSON.stringify({ first: samples[0], halfWay: first, last })}`);
  for (const name of EXACT) {
    expect({ [name]: last?.[name] }).toEqual({ [name]: first?.[name] });
  }
  expect(last?.['threads']).toBeLessThanOrEqual(first?.['threads'] ?? 0);
  for (const [name, steepest] of Object.entries(STEEPEST)) {
    const found = slope(half.map((sample) => [sample['tasks'] ?? 0, sample[name] ?? 0]));
    console.log(`soak: ${name} grows by ${found.toFixed(4)} per task`);
    expect(found, `${name} per task`).toBeLessThan(steepest);
  }
});

async function runForLong(): Promise<readonly Sample[]> {
  const every = String(TASKS / SAMPLES);
  const child = spawn(process.execPath, ['--expose-gc', script, String(TASKS), every], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const samples: Sample[] = [];
  for await (const line of createInterface({ input: child.stdout })) samples.push(JSON.parse(line));
  expect(await exited).toEqual([0, null]);
  return samples;
}

/** The slope of the least-squares line. */
function slope(points: readonly (readonly [number, number])[]): number {
  const mean = (of: 0 | 1) => points.reduce((sum, point) => sum + point[of], 0) / points.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const above = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return above / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}
