/** Runs every benchmark on the installation's python-3.13 and prints a table; `--stack`, `--runs`, `--tasks` and `--orphans` change that. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, release } from 'node:os';
import { parseArgs } from 'node:util';
import { measureCachedBuild } from './cached-build.ts';
import { measureDisk } from './disk.ts';
import { measureExecTimes } from './exec-times.ts';
import { printFigures, toFigures } from './figures.ts';
import { measureHostProgram } from './host-program.ts';
import { measureImports } from './import.ts';
import { findInstalled } from './installed.ts';
import { measureIntake } from './intake.ts';
import { measureIsolationCost } from './isolation-cost.ts';
import { measureLiveHeap } from './live-heap.ts';
import { measureQueueJobs } from './queue-jobs.ts';
import { measureReap } from './reap-orphans.ts';
import { measureSleepingTasks } from './sleeping-tasks.ts';
import { measureStackFlips } from './stack-flips.ts';
import { measureStartTimes } from './start-times.ts';
import { measureTakenFiles } from './taken-files.ts';
import { measureTeardown } from './teardown.ts';

const { values } = parseArgs({
  options: {
    stack: { type: 'string', default: 'python-3.13' },
    runs: { type: 'string', default: '40' },
    tasks: { type: 'string', default: '200' },
    orphans: { type: 'string', default: '500' },
  },
});

const installed = findInstalled(values.stack);
const host = {
  kernel: release(),
  cpus: availableParallelism(),
  loadBefore: loadavg()[0] ?? 0,
  node: process.version,
  runtime: installed.runc,
};
const startTimes = await measureStartTimes(installed, Number(values.runs));
const execTimes = await measureExecTimes(installed, Number(values.runs));
const isolation = await measureIsolationCost(installed, Number(values.runs));
const cachedBuild = await measureCachedBuild(installed, Number(values.runs));
const sleeping = await measureSleepingTasks(installed, Number(values.tasks));
const hostProgram = await measureHostProgram(installed, Number(values.runs));
const liveHeap = await measureLiveHeap(installed, Number(values.runs));
const reaped = await measureReap(installed, Number(values.orphans));
const teardown = await measureTeardown(installed);
const takenFiles = await measureTakenFiles(installed, Number(values.runs));
const flips = await measureStackFlips(installed, Number(values.runs));
const disk = await measureDisk(installed);
const imports = await measureImports(installed);
const intake = measureIntake();
const queueJobs = await measureQueueJobs(installed);
const measured = {
  stack: values.stack,
  host,
  startTimes,
  execTimes,
  isolation,
  cachedBuild,
  sleeping,
  hostProgram,
  liveHeap,
  reaped,
  teardown,
  takenFiles,
  flips,
  disk,
  imports,
  intake,
  queueJobs,
};
const results = new URL('../../bench/results/', import.meta.url);
mkdirSync(results, { recursive: true });
writeFileSync(new URL('latest.json', results), `${JSON.stringify(measured, null, 2)}\n`);
const figures = toFigures(measured);
printFigures(figures, host);
process.exitCode = figures.every(({ met }) => met !== false) ? 0 : 1;
