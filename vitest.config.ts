/** One vitest project per test lane of scripts/lanes.json; a privileged lane runs one file at a time. In a test VM there are no projects. */
import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { REPORT_VARIABLE, toReportFile } from './scripts/steps/lane-reporter.mjs';
import { eventReporter } from './scripts/steps/vm-reporter.mjs';
import { GVISOR_TAGS } from './test/gvisor/support/gvisor-tags.ts';
import { isFullRun } from './test/support/timing/full-run.ts';
import { scaled } from './test/support/timing/time-scale.ts';

interface Lane {
  readonly name: string;
  readonly privileged: boolean;
}

const lanes: readonly Lane[] = JSON.parse(
  readFileSync(new URL('scripts/lanes.json', import.meta.url), 'utf8'),
);

/**
 * The `source` condition of package.json `imports` picks the TypeScript files instead of dist/. Node gets the conditions as well: with `import`
 * among them, packages that use `require` would get the files that are meant for `import`.
 */
const conditions = ['source', 'node'];

/** Files that only `npm run test:all` has time for. */
const leftOut = isFullRun ? [] : ['**/*.full.test.ts'];
const isInVm = process.env['STACKSHIM_TEST_VM'] !== undefined;
/** Files that want a kernel which the virtual machine has. */
const onlyInVm = isInVm ? [] : ['**/*.vm.test.ts'];

/** Suites of test/e2e that the gvisor lane runs as well, each time and with `npm run test:all`. */
const gvisorSuites = ['run-commands', 'run-verdicts'];
const moreGvisorSuites = [
  ...[
    'disk-limit',
    'kill',
    'ps',
    'reap',
    'recovery',
    'run-bad-code',
    'run-bad-input',
    'run-corrupt',
  ],
  ...['run-inputs', 'run-limits', 'run-options', 'run-tenants', 'task-arguments', 'task-contract'],
  ...['task-progress'],
  ...['terminal', 'usage'],
];

const onGvisor = {
  include: [
    'test/gvisor/**/*.test.ts',
    ...[...gvisorSuites, ...(isFullRun ? moreGvisorSuites : [])].map(
      (name) => `test/e2e/${name}.test.ts`,
    ),
  ],
  env: { STACKSHIM_TEST_RUNTIME: '/usr/bin/runsc' },
  // A test that passes in spite of its tag is reported as failed: the reason is no longer true.
  tags: GVISOR_TAGS.map((tag) => ({ ...tag, fails: true })),
};

function toProject(lane: Lane, order: number) {
  const options = toOptions(lane);
  return {
    extends: true as const,
    test: {
      name: lane.name,
      sequence: { groupOrder: order },
      ...options,
      ...(lane.name === 'gvisor' ? onGvisor : {}),
    },
  };
}

function toOptions({ name, privileged }: Lane) {
  return {
    include: [`test/${name}/**/*.test.ts`],
    exclude: [...leftOut, ...onlyInVm],
    fileParallelism: !privileged,
    testTimeout: scaled(privileged ? 60_000 : 10_000),
    hookTimeout: scaled(privileged ? 120_000 : 10_000),
    tags: [...GVISOR_TAGS],
  };
}

/** Getting a project ready takes a slow processor ten seconds: its host names the files, of whatever lane, and counts. */
const inVm = {
  ...toOptions({ name: '*', privileged: true }),
  reporters: ['verbose', eventReporter],
};

const reportFile = process.env[REPORT_VARIABLE];
const onHost = {
  projects: lanes.map(toProject),
  reporters: ['default', ...(reportFile === undefined ? [] : [toReportFile(reportFile)])],
};

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    environment: 'node',
    expect: { poll: { timeout: scaled(5000) } },
    teardownTimeout: scaled(10_000),
    pool: 'forks',
    ...(isInVm ? inVm : onHost),
  },
});
