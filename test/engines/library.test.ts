/**
 * Runs the integration suites of the library on other versions of Node than the current one, each with its leak check.
 * Requires: root, the npm registry (for the program `node`: of the stacks node-22 and node-24, and the oldest that is supported).
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countReport } from '../../scripts/steps/count-report.mjs';
import { formatFailures } from '../../scripts/steps/counts.mjs';
import { type LaneReport, REPORT_VARIABLE } from '../../scripts/steps/lane-reporter.mjs';
import { fetchStackFiles } from '../../scripts/steps/stack-files.mjs';
import { scaled } from '../support/timing/time-scale.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** What depends on the engine: FFI, threads, pipes, processes. */
const SUITES = [
  'caller-umask',
  'pipes',
  'run-task-children',
  'run-task-ended-thread',
  'run-task-guard',
  'run-task-library',
  'run-task-many',
  'sys-kernel',
  'sys-orphans',
  'terminal-tasks',
];
const MORE_SUITES = [
  'caller-streams',
  'held-up-owner',
  'library-door',
  'prepared-containers',
  'run-task-inputs',
  'sys-programs',
  'task-output-end',
];

const MOST_OUTPUT_BYTES = 64 * 1024 * 1024;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stackshim-engines-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe.each([
  // The integration lane runs on another Node 20, the host's.
  { version: '20.19', lockedIn: 'test/engines/node-20.19', suites: SUITES },
  { version: '22', lockedIn: 'overlay/stacks/node-22', suites: [...SUITES, ...MORE_SUITES] },
  { version: '24', lockedIn: 'overlay/stacks/node-24', suites: [...SUITES, ...MORE_SUITES] },
])('on Node $version', ({ version, lockedIn, suites }) => {
  const locked = join(root, lockedIn);
  const node = join(locked, 'files/node');

  it('passes its suites', { timeout: scaled(600_000) }, async () => {
    await fetchStackFiles(locked);
    const { stdout } = await promisify(execFile)(node, ['--version']);
    expect(stdout.startsWith(`v${version}.`)).toBe(true);
    const { testResults, unhandled } = await runSuites(node, suites, version);
    const { passed, skipped, failures } = countReport({ testResults }, 'integration');
    expect(`${unhandled}${formatFailures(failures)}`).toBe('');
    expect(testResults.map(({ assertionResults }) => assertionResults.length)).not.toContain(0);
    expect(testResults).toHaveLength(suites.length);
    expect(skipped).toBe(0);
    expect(passed).toBeGreaterThan(50);
  });
});

/** The report, whether the suites pass or fail. */
async function runSuites(
  node: string,
  suites: readonly string[],
  version: string,
): Promise<LaneReport> {
  const report = join(folder, `${version}.json`);
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const files = suites.map((name) => `test/integration/${name}.test.ts`);
  const env = { ...outerEnv(), [REPORT_VARIABLE]: report };
  // Vitest exits non-zero if a test fails; the report names it.
  const options = { cwd: root, env, maxBuffer: MOST_OUTPUT_BYTES };
  await promisify(execFile)(node, [vitest, 'run', ...files], options).catch(() => undefined);
  return JSON.parse(readFileSync(report, 'utf8'));
}

/** This process's environment without the variables that its own vitest set. */
function outerEnv(): NodeJS.ProcessEnv {
  const own = ['NODE_OPTIONS', 'VITEST', 'VITEST_MODE', 'VITEST_POOL_ID', 'VITEST_WORKER_ID'];
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.includes(name)));
}
