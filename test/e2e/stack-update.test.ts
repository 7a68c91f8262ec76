/** `stackshim stack update`, as the timer calls it and as a person does. */
import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { UpdateReport } from '../../src/images/update-stacks.ts';
import { BUSYBOX_IMAGE, useBuildLab } from '../support/build-lab.ts';
import { runCli } from '../support/run-cli.ts';

const lab = useBuildLab();
const { root, run, policyFile } = lab.layout;
const env = { STACKSHIM_ROOT: root, STACKSHIM_RUN: run, STACKSHIM_POLICY: policyFile };
const DOCKERFILE = [
  ...BUSYBOX_IMAGE,
  'COPY version /version',
  'LABEL io.stackshim.smoke=\'["/bin/true"]\'',
];

it('updates what can be, reports what cannot, and says so by its exit status', async () => {
  const sound = lab.writeStack('sound', DOCKERFILE, { version: '1' });
  const broken = lab.writeStack('broken', DOCKERFILE, { version: '1' });
  for (const directory of [sound, broken]) await lab.build(directory);
  writeFileSync(`${sound}/version`, '2');
  writeFileSync(`${broken}/Dockerfile`, 'FROM scratch\nCOPY nothing /\n');

  const all = await runCli(['stack', 'update', '--all', '--keep', '1'], { env });
  expect(all.status).toBe(1);
  expect(all.stdout).toMatch(
    /^STACK +OUTCOME +BEFORE +NOW +REMOVED\nbroken +failed +1 +1\nsound +updated +1 +2 +1\n$/,
  );
  expect(all.stderr).toMatch(/^\[1\/2\] broken$[\s\S]*^\[2\/2\] sound$/m);
  expect(all.stderr).toMatch(/^stackshim: .*\[ERR_STACKSHIM_BUILD_FAILED\]$/m);
  expect((await lab.run('sound', ['cat', '/version'])).output.stdout).toBe('2');
  expect((await lab.run('broken', ['cat', '/version'])).output.stdout).toBe('1');

  const again = await runCli(['stack', 'update', 'sound', '--json'], { env });
  const report: UpdateReport = JSON.parse(again.stdout);
  expect(again.status).toBe(0);
  expect(report).toEqual({
    updates: [
      {
        stack: 'sound',
        status: 'unchanged',
        before: 2,
        revision: 2,
        error: null,
        removedRevisions: [],
      },
    ],
    behind: [],
  });

  // Of one alone the exit status is that of its error: 2 for a Dockerfile that does not build.
  expect((await runCli(['stack', 'update', 'broken'], { env })).status).toBe(2);
});
