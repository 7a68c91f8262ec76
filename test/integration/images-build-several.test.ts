/** Several folders built together: bases first, independent ones at the same time, and a failure that stops only what is built on it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type BuildStacksOptions, buildStacks } from '../../src/build/build-stacks.ts';
import { planBuilds } from '../../src/build/plan-builds.ts';
import { runTask } from '../../src/door/open-stackshim.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { BUSYBOX_IMAGE, useBuildLab } from '../support/stacks/build-lab.ts';

const lab = useBuildLab();
const { root, run, policyFile } = lab.layout;
const SMOKE = 'LABEL io.stackshim.smoke=\'["/bin/true"]\'';
const BASE = [...BUSYBOX_IMAGE, SMOKE];
const atop = (...names: readonly string[]) => [
  `FROM localhost/${names[0]}`,
  ...names.slice(1).map((name) => `COPY --from=localhost/${name} /bin/busybox /${name}`),
  SMOKE,
];

const build = (directories: readonly string[], options: Partial<BuildStacksOptions> = {}) =>
  buildStacks(lab.layout, directories, {
    system: linuxSystem,
    runSmoke: ({ stack, revision }, command, { timeoutMs }) =>
      runTask(
        { stack: `${stack}@rev:${revision}`, command, timeout: timeoutMs },
        { root, run, policy: policyFile },
      ),
    ...options,
  });

const outcomes = async (...of: Parameters<typeof build>) =>
  (await build(...of)).builds.map(({ stack, status, revision, error, blockedBy }) =>
    [stack, status, revision ?? error?.code ?? blockedBy].join(' '),
  );

it('builds each stack after those that it is built on or copies from', async () => {
  const base = lab.writeStack('base-1', BASE);
  const other = lab.writeStack('base-2', BASE);
  const middle = lab.writeStack('middle-1', atop('base-1', 'base-2'));
  const top = lab.writeStack('top-1', atop('middle-1'));
  const shared = `${dirname(base)}/shared`;
  mkdirSync(shared);
  const folders = [top, shared, middle, other, base, `${base}/.`];
  const plan = planBuilds(lab.layout, folders);
  expect(plan).toMatchObject([
    { stack: 'base-2', needs: [], after: [], missing: [], directory: other },
    { stack: 'base-1', after: [] },
    { stack: 'middle-1', needs: ['base-1', 'base-2'], after: ['base-1', 'base-2'] },
    { stack: 'top-1', after: ['middle-1'], missing: [] },
  ]);
  const started: string[] = [];
  const done: string[] = [];
  const options: Partial<BuildStacksOptions> = {
    jobs: 4,
    onStack: (stack, number, count) => started.push(`${number}/${count} ${stack} ${done.length}`),
    onBuilt: ({ stack }) => done.push(stack),
  };
  expect(await outcomes(folders, options)).toEqual([
    'base-2 built 1',
    'base-1 built 1',
    'middle-1 built 1',
    'top-1 built 1',
  ]);
  // The two bases are built at the same time.
  expect(started).toEqual(['1/4 base-2 0', '2/4 base-1 0', '3/4 middle-1 2', '4/4 top-1 3']);
  expect((await lab.run('top-1', ['cmp', '/bin/busybox', '/base-2'])).exitCode).toBe(0);

  // Nothing has changed; then only what is built on a change is built.
  expect(await outcomes(folders, { ifChanged: true })).toEqual([
    'base-2 unchanged 1',
    'base-1 unchanged 1',
    'middle-1 unchanged 1',
    'top-1 unchanged 1',
  ]);
  writeFileSync(`${base}/new`, 'new');
  writeFileSync(`${base}/Dockerfile`, [...BASE, 'COPY new /new'].join('\n'));
  expect(await outcomes(folders, { ifChanged: true, jobs: 1 })).toEqual([
    'base-2 unchanged 1',
    'base-1 built 2',
    'middle-1 built 2',
    'top-1 built 2',
  ]);
  expect((await lab.run('top-1', ['cat', '/new'])).output.stdout).toBe('new');
});

it('goes on after a failure with everything that is not built on the failed stack', async () => {
  const broken = lab.writeStack('broken-1', [...BASE, 'RUN ["/bin/false"]']);
  const folders = [
    broken,
    lab.writeStack('atop-1', atop('broken-1')),
    lab.writeStack('higher-1', atop('atop-1')),
    lab.writeStack('sound-1', BASE),
    lab.writeStack('lost-1', atop('nowhere-1')),
  ];
  expect(planBuilds(lab.layout, folders).flatMap(({ missing }) => missing)).toEqual(['nowhere-1']);
  expect(await outcomes(folders)).toEqual([
    'broken-1 failed ERR_STACKSHIM_BUILD_FAILED',
    'atop-1 blocked broken-1',
    'higher-1 blocked atop-1',
    'sound-1 built 1',
    'lost-1 failed ERR_STACKSHIM_STACK_NOT_FOUND',
  ]);
});

it('stops with its signal, and changes nothing more', async () => {
  const stop = new AbortController();
  const folders = [lab.writeStack('first-1', BASE), lab.writeStack('second-1', BASE)];
  const options = { jobs: 1, signal: stop.signal, onBuilt: () => stop.abort() };
  expect(await outcomes(folders, options)).toEqual([
    'first-1 built 1',
    'second-1 failed ERR_STACKSHIM_BUILD_ABORTED',
  ]);
  expect(lab.hasWork()).toBe(false);
});

describe('nothing is built', () => {
  const refuse = async (folders: readonly string[], code: string, options = {}) => {
    const started: string[] = [];
    const onStack = (stack: string) => started.push(stack);
    await expect(build(folders, { ...options, onStack })).rejects.toMatchObject({ code });
    expect(started).toEqual([]);
  };

  it('of a plan that is not possible', async () => {
    const sound = lab.writeStack('sound-2', BASE);
    const one = lab.writeStack('one-1', atop('two-1'));
    const two = lab.writeStack('two-1', atop('one-1'));
    await refuse([sound, one, two], 'ERR_STACKSHIM_SPEC_INVALID');
    await refuse([sound, `${sound}-none`], 'ERR_STACKSHIM_INPUT_NOT_FOUND');
    const empty = `${dirname(sound)}/empty-1`;
    mkdirSync(empty);
    await refuse([sound, empty], 'ERR_STACKSHIM_INPUT_NOT_FOUND');
    const twin = `${empty}/sound-2`;
    mkdirSync(twin);
    writeFileSync(`${twin}/Dockerfile`, 'FROM scratch\n');
    await refuse([sound, twin], 'ERR_STACKSHIM_SPEC_INVALID');
    for (const jobs of [0, 17, 1.5]) await refuse([sound], 'ERR_STACKSHIM_SPEC_INVALID', { jobs });
  });
});
