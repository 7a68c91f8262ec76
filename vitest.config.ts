/** One vitest project per test lane of scripts/lanes.json; a privileged lane runs one file at a time. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { scaled } from './test/support/time-scale.ts';

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
/** Files that want a kernel which the virtual machine has. */
const onlyInVm = process.env['STACKSHIM_TEST_VM'] !== undefined ? [] : ['**/*.vm.test.ts'];

/** In the gvisor lane the suites of another lane get their `it` from where its exceptions are left out. */
const gvisorPlugin = {
  name: 'stackshim-gvisor',
  enforce: 'pre' as const,
  resolveId: (source: string, importer: string | undefined) =>
    source === 'vitest' && importer?.includes('/test/e2e/')
      ? fileURLToPath(new URL('test/support/gvisor-vitest.ts', import.meta.url))
      : undefined,
};

function toProject(lane: Lane, order: number) {
  return {
    extends: true as const,
    plugins: lane.name === 'gvisor' ? [gvisorPlugin] : [],
    test: {
      name: lane.name,
      include: [`test/${lane.name}/**/*.test.ts`],
      exclude: [...leftOut, ...onlyInVm],
      fileParallelism: !lane.privileged,
      sequence: { groupOrder: order },
      testTimeout: scaled(lane.privileged ? 60_000 : 10_000),
      hookTimeout: scaled(lane.privileged ? 120_000 : 10_000),
    },
  };
}

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    environment: 'node',
    expect: { poll: { timeout: scaled(1000) } },
    pool: 'forks',
    projects: lanes.map(toProject),
  },
});
