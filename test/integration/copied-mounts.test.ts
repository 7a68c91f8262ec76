/** A bind of a directory shows the mounts below it once more while its task is set up: what lies below is removed all the same. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mountedLayersDir } from '../../src/core/layout.ts';
import { openStackshim, type TaskInput } from '../../src/index.ts';
import { detachUnlinked } from '../../src/sys/detach-copies.ts';
import { namesIn } from '../../src/sys/files.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { STORED, useInstallation } from '../support/installation/installation.ts';
import { writePolicy } from '../support/installation/write-policy.ts';
import {
  type Gate,
  makeGate,
  realRunc,
  writeFakeRuntime,
} from '../support/runtimes/fake-runtime.ts';

const { layout, options } = useInstallation([STORED, /^file \S+\/packages\//]);
const stackshim = openStackshim(options);
const folder = mkdtempSync('/var/tmp/stackshim-copied-');
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a task that waits with its mounts attached until its gate is opened. */
async function runHeld(input: Omit<TaskInput, 'stack'>) {
  const gate = gates.shift();
  if (gate === undefined) throw new Error('no more gates');
  const ended = stackshim.run({ stack: 'busybox', ...input, runtime: gate.runtime });
  await gate.reached();
  return { ended, open: gate.open };
}

let gates: (Gate & { readonly runtime: string })[] = [];
beforeAll(() => {
  gates = ['one', 'two', 'three'].map((name) => {
    const gate = makeGate(folder, name);
    const runtime = join(folder, `runtime-${name}`);
    writeFakeRuntime(runtime, { real: realRunc(layout), beforeCreate: gate.stop });
    return { ...gate, runtime };
  });
  writePolicy(layout, { allow: { runtimes: ['runc', ...gates.map(({ runtime }) => runtime)] } });
});

/** The directory of the installation. */
const binding = { volumes: [`${dirname(layout.root)}:/host:ro`] };
const SUCCEEDED = { verdict: 'succeeded', removed: true, leftovers: [] };

it('a task is removed while another one has copies of its mounts', async () => {
  const task = await runHeld({ command: ['true'], volumes: ['/etc/hostname:/h:ro'] });
  const binder = await runHeld({ command: ['true'], ...binding });
  await task.open();
  expect(await task.ended).toMatchObject(SUCCEEDED);
  await binder.open();
  expect(await binder.ended).toMatchObject(SUCCEEDED);
});

it('gc removes the mounts of unneeded layers while a task has copies of them', async () => {
  const code = join(folder, 'code');
  mkdirSync(code);
  writeFileSync(join(code, 'file'), 'content');
  const before = namesIn(mountedLayersDir(layout));
  await stackshim.code.add('app', code, {});
  const task = { stack: 'busybox', code: 'app', command: ['true'] };
  expect(await stackshim.run(task)).toMatchObject(SUCCEEDED);
  expect(namesIn(mountedLayersDir(layout))).not.toEqual(before);
  await stackshim.code.remove(['app']);
  const binder = await runHeld({ command: ['true'], ...binding });
  expect(await stackshim.gc()).toMatchObject({ obstacles: [], layers: [expect.anything()] });
  expect(namesIn(mountedLayersDir(layout))).toEqual(before);
  await binder.open();
  expect(await binder.ended).toMatchObject(SUCCEEDED);
});

it('a link that somebody put into the path of a copy is not followed', () => {
  const [real, link] = [join(folder, 'real'), join(folder, 'link')];
  mkdirSync(join(real, 'mount'), { recursive: true });
  symlinkSync(real, link);
  linuxSystem.bindMount(real, join(real, 'mount'));
  expect(detachUnlinked(linuxSystem, join(link, 'mount'))).toBe(false);
  // The same mount, by its own path.
  expect(detachUnlinked(linuxSystem, join(real, 'mount'))).toBe(true);
  expect(detachUnlinked(linuxSystem, join(real, 'mount'))).toBe(false);
});
