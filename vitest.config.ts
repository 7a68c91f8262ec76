/** One vitest project per test lane of scripts/lanes.json; a privileged lane runs one file at a time. In a test VM there are no projects. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { eventReporter } from './scripts/steps/vm-reporter.mjs';
import { scaled } from './test/support/timing/time-scale.ts';

interface Lane {
  readonly name: string;
  readonly privileged: boolean;
}

const lanes: readonly Lane[] = JSON.parse(
  readFileSync(new URL('scripts/lanes.json', import.meta.url), 'utf8'),
);

/** The `source` condition of package.json `imports` picks the TypeScript files instead of dist/. */
const conditions = ['source', 'node', 'import', 'default'];

/** Files that only `npm run test:all` has time for. */
const leftOut = process.env['STACKSHIM_TEST_FULL'] === '1' ? [] : ['**/*.full.test.ts'];
const isInVm = process.env['STACKSHIM_TEST_VM'] !== undefined;
/** Files that want a kernel which the virtual machine has. */
const onlyInVm = isInVm ? [] : ['**/*.vm.test.ts'];

/** In the gvisor lane the suites of another lane get their `it` from where its exceptions are left out. */
const gvisorPlugin = {
  name: 'stackshim-gvisor',
  enforce: 'pre' as const,
  resolveId: (source: string, importer: string | undefined) =>
    source === 'vitest' && importer?.includes('/test/e2e/')
      ? fileURLToPath(new URL('test/gvisor/support/gvisor-vitest.ts', import.meta.url))
      : undefined,
};

function toProject(lane: Lane, order: number) {
  return {
    extends: true as const,
    plugins: lane.name === 'gvisor' ? [gvisorPlugin] : [],
    test: { name: lane.name, sequence: { groupOrder: order }, ...toOptions(lane) },
  };
}

function toOptions({ name, privileged }: Lane) {
  return {
    include: [`test/${name}/**/*.test.ts`],
    exclude: [...leftOut, ...onlyInVm],
    fileParallelism: !privileged,
    testTimeout: scaled(privileged ? 60_000 : 10_000),
    hookTimeout: scaled(privileged ? 120_000 : 10_000),
  };
}

/** Getting a project ready takes a slow processor ten seconds: its host names the files, of whatever lane, and counts. */
const inVm = {
  ...toOptions({ name: '*', privileged: true }),
  reporters: ['verbose', eventReporter],
};

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    environment: 'node',
    expect: { poll: { timeout: scaled(1000) } },
    teardownTimeout: scaled(10_000),
    pool: 'forks',
    ...(isInVm ? inVm : { projects: lanes.map(toProject) }),
  },
});
