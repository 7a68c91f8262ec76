/** `stackshim stack update`, called by the timer and by a person. */
import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { UpdateReport } from '../../src/build/update-stacks.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { BUSYBOX_IMAGE, useBuildLab } from '../support/stacks/build-lab.ts';

const lab = useBuildLab();
const { env } = lab;
const DOCKERFILE = [
  ...BUSYBOX_IMAGE,
  'COPY version /version',
  'LABEL io.stackshim.smoke=\'["/bin/true"]\'',
];

it('updates what it can, reports what failed, and shows failures in its exit status', async () => {
  const sound = lab.writeStack('sound', DOCKERFILE, { version: '1' });
  const untested = lab.writeStack('untested', DOCKERFILE, { version: '1' });
  const broken = lab.writeStack('broken', DOCKERFILE, { version: '1' });
  for (const directory of [sound, broken, untested]) await lab.build(directory);
  writeFileSync(`${sound}/version`, '2');
  writeFileSync(`${broken}/Dockerfile`, 'FROM scratch\nCOPY nothing /\n');
  const smoke = 'LABEL io.stackshim.smoke="echo out of order >&2; exit 7"';
  writeFileSync(`${untested}/Dockerfile`, [...BUSYBOX_IMAGE, smoke].join('\n'));

  const all = await runCli(['stack', 'update', '--all', '--keep', '1'], { env });
  expect(all.status).toBe(1);
  expect(all.stdout).toMatch(
    /^STACK +OUTCOME +BEFORE +NOW +REMOVED\nbroken +failed +1 +1\nsound +updated +1 +2 +1\nuntested +failed +1 +1\n$/,
  );
  expect(all.stderr).toMatch(/^\[1\/3\] broken$[\s\S]*^\[3\/3\] untested$/m);
  // The end of the output names the failed stack and its error, because a build's output may have filled the screen.
  const [, ending = ''] = all.stderr.split(/^stackshim: update broken: /m);
  expect(ending).toMatch(/^.*\[ERR_STACKSHIM_BUILD_FAILED\]$/m);
  expect(ending).toMatch(/^out of order\nstackshim: .*untested.*\[ERR_STACKSHIM_SMOKE_FAILED\]$/m);
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

  // For a single stack the exit status is that of its error: 2 for a Dockerfile that does not build.
  expect((await runCli(['stack', 'update', 'broken'], { env })).status).toBe(2);
});
