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

interface Report {
  readonly numPassedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

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
    const { numPassedTests, numPendingTests, testResults } = await runSuites(node, suites, version);
    const failed = testResults.flatMap(({ assertionResults }) =>
      assertionResults
        .filter(({ status }) => status === 'failed')
        .map(({ fullName, failureMessages }) => `${fullName}: ${failureMessages.join('\n')}`),
    );
    expect(failed).toEqual([]);
    expect(testResults.map(({ assertionResults }) => assertionResults.length)).not.toContain(0);
    expect(testResults).toHaveLength(suites.length);
    expect(numPendingTests).toBe(0);
    expect(numPassedTests).toBeGreaterThan(50);
  });
});

/** Vitest's report, whether the suites pass or fail. */
async function runSuites(
  node: string,
  suites: readonly string[],
  version: string,
): Promise<Report> {
  const report = join(folder, `${version}.json`);
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const files = suites.map((name) => `test/integration/${name}.test.ts`);
  const args = [vitest, 'run', '--reporter=json', `--outputFile=${report}`, ...files];
  // Vitest exits non-zero if a test fails; the report names it.
  await promisify(execFile)(node, args, { cwd: root, env: outerEnv() }).catch(() => undefined);
  return JSON.parse(readFileSync(report, 'utf8'));
}

/** This process's environment without the variables that its own vitest set. */
function outerEnv(): NodeJS.ProcessEnv {
  const own = ['NODE_OPTIONS', 'VITEST', 'VITEST_MODE', 'VITEST_POOL_ID', 'VITEST_WORKER_ID'];
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.includes(name)));
}
