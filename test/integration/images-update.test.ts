/** Updates of stacks with real builds, in sequence; a failure does not affect the other stacks. */
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type UpdateStacksOptions, updateStacks } from '../../src/build/update-stacks.ts';
import { locksDir } from '../../src/core/layout.ts';
import { runTask } from '../../src/door/open-stackshim.ts';
import { flipStacks } from '../../src/store/stacks/flip-stacks.ts';
import { readCurrentGeneration } from '../../src/store/stacks/generations.ts';
import { listStacks, showStack } from '../../src/store/stacks/list-stacks.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { takeFileLock } from '../../src/sys/lock.ts';
import { removeStacks } from '../../src/upkeep/remove-stacks.ts';
import { BUSYBOX_IMAGE, useBuildLab } from '../support/stacks/build-lab.ts';
import { NOW, stackName } from '../support/stacks/stack-store.ts';

const lab = useBuildLab();
const SMOKE = 'LABEL io.stackshim.smoke=\'["/bin/true"]\'';
const { root, run, policyFile } = lab.layout;

const update = (options: Partial<UpdateStacksOptions> = {}) =>
  updateStacks(lab.layout, {
    system: linuxSystem,
    runSmoke: ({ stack, revision }, command, { timeoutMs }) =>
      runTask(
        { stack: `${stack}@rev:${revision}`, command, timeout: timeoutMs },
        { root, run, policy: policyFile },
      ),
    ...options,
  });

const outcomes = async (options: Partial<UpdateStacksOptions> = {}) =>
  (await update(options)).updates.map(({ stack, status, before, revision, error }) =>
    [stack, status, before, revision, ...(error === null ? [] : [error.code])].join(' '),
  );

const BASE = [...BUSYBOX_IMAGE, SMOKE];
const writeBase = (text: string) =>
  lab.writeStack('base-1', [...BASE, 'COPY version /version'], {
    version: text,
  });
const writeTop = (text: string) =>
  lab.writeStack('atop-1', ['FROM localhost/base-1', SMOKE, 'COPY tool /tool'], { tool: text });
const names = (...of: readonly string[]) => of.map((name) => stackName(name));

it('follows a base and its dependent stacks through several updates', async () => {
  await lab.build(writeBase('1'));
  const atop = writeTop('1');
  await lab.build(atop);

  // Bases come first; an unchanged image makes no revision.
  expect(await outcomes()).toEqual(['base-1 unchanged 1 1', 'atop-1 unchanged 1 1']);

  // Only a base: dependent stacks are reported as behind, and do not change.
  writeBase('2');
  const report = await update({ names: names('base-1') });
  expect(report.updates).toMatchObject([{ stack: 'base-1', status: 'updated', revision: 2 }]);
  expect(report.behind).toEqual([{ stack: 'atop-1', base: 'base-1' }]);
  expect(listStacks(lab.layout)).toMatchObject([
    { name: 'atop-1', base: 'base-1', behind: 'base-1' },
    { name: 'base-1', base: null, behind: null },
  ]);
  expect((await lab.run('atop-1', ['cat', '/version'])).output.stdout).toBe('1');

  // Now with its dependent stacks.
  expect(await outcomes({ names: names('base-1'), dependents: true })).toEqual([
    'base-1 unchanged 2 2',
    'atop-1 updated 1 2',
  ]);
  expect(showStack(lab.layout, stackName('atop-1')).source).toMatchObject({
    base: { stack: 'base-1', revision: 2 },
  });
  expect((await lab.run('atop-1', ['cat', '/version'])).output.stdout).toBe('2');

  // A base that fails stops no other update, and changes nothing.
  lab.writeStack('base-1', [...BASE, 'RUN ["/bin/false"]']);
  writeTop('3');
  expect(await outcomes({ keep: 1 })).toEqual([
    'base-1 failed 2 2 ERR_STACKSHIM_BUILD_FAILED',
    'atop-1 updated 2 3',
  ]);
  expect(showStack(lab.layout, stackName('atop-1')).revisions).toEqual([3]);
  expect(showStack(lab.layout, stackName('base-1')).revisions).toEqual([1, 2]);

  // A failing smoke command does not change the stack.
  lab.writeStack('atop-1', [
    'FROM localhost/base-1',
    'LABEL io.stackshim.smoke=\'["/bin/false"]\'',
  ]);
  expect(await outcomes({ names: names('atop-1') })).toEqual([
    'atop-1 failed 3 3 ERR_STACKSHIM_SMOKE_FAILED',
  ]);

  // A missing folder is named.
  const moved = `${atop}-elsewhere`;
  mkdirSync(moved);
  writeTop('4');
  renameSync(atop, `${moved}/atop-1`);
  expect(await outcomes({ names: names('atop-1') })).toEqual([
    'atop-1 failed 3 3 ERR_STACKSHIM_INPUT_NOT_FOUND',
  ]);
  const from = { names: names('atop-1'), from: `${moved}/atop-1` };
  expect(await outcomes(from)).toEqual(['atop-1 updated 3 4']);
  expect(await outcomes({ names: names('base-1'), from: from.from })).toEqual([
    'base-1 failed 2 2 ERR_STACKSHIM_SPEC_INVALID',
  ]);

  // A stack that another build holds is reported as busy at once.
  const lock = takeFileLock(linuxSystem, `${locksDir(lab.layout)}/build.atop-1`, { wait: false });
  expect(await outcomes(from)).toEqual(['atop-1 failed 4 4 ERR_STACKSHIM_STACK_BUSY']);
  lock?.release();

  // A base with dependent stacks is not removed alone, only together with them.
  const remove = (...of: readonly string[]) =>
    removeStacks(lab.layout, linuxSystem, { names: names(...of), now: NOW });
  await expect(remove('base-1')).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_STACK_IN_USE',
    details: { stacks: ['atop-1'] },
  });
  await remove('base-1', 'atop-1');
  expect(readCurrentGeneration(lab.layout)?.stacks).toEqual({});
});

it('with two updates of one stack at the same time, one updates and the other reports it', async () => {
  const directory = lab.writeStack('twice', [...BASE, 'COPY n /n'], { n: '1' });
  await lab.build(directory);
  writeFileSync(`${directory}/n`, '2');
  const both = await Promise.all([1, 2].map(() => outcomes({ names: names('twice') })));
  expect(both.flat().sort()).toEqual([
    'twice failed 1 1 ERR_STACKSHIM_STACK_BUSY',
    'twice updated 1 2',
  ]);
});

it('skips a stack that was not built here, and reports it if it was named', async () => {
  const { revision } = showStack(lab.layout, stackName('twice'));
  const path = `${root}/stacks/twice/${revision}.json`;
  const stored = { version: 1, stack: 'twice', revision, createdAt: NOW.toISOString() };
  const { image } = showStack(lab.layout, stackName('twice'));
  writeFileSync(
    path,
    JSON.stringify({ ...stored, image, source: { kind: 'import', reference: 'x' } }),
  );
  const changes = new Map([[stackName('twice'), revision]]);
  await flipStacks(lab.layout, linuxSystem, { changes, now: NOW, reason: 'test' });
  expect(await outcomes()).toEqual([`twice skipped ${revision} ${revision}`]);
  expect(await outcomes({ names: names('twice') })).toEqual([
    `twice failed ${revision} ${revision} ERR_STACKSHIM_SPEC_INVALID`,
  ]);
});

it.each([
  ['a stack that does not exist', { names: names('nothing') }, 'ERR_STACKSHIM_STACK_NOT_FOUND'],
  ['one folder for all stacks', { from: '/x' }, 'ERR_STACKSHIM_SPEC_INVALID'],
])('refuses %s before anything is built', async (_, options, code) => {
  await expect(update(options)).rejects.toMatchObject({ code });
});

it('ends when it is cancelled, and changes none of the stacks', async () => {
  await lab.build(lab.writeStack('late', BASE));
  expect(await outcomes({ names: names('late'), signal: AbortSignal.abort() })).toEqual([
    'late failed 1 1 ERR_STACKSHIM_BUILD_ABORTED',
  ]);
  expect(readdirSync(`${root}/stacks/late`)).toEqual(['1.json']);
});
