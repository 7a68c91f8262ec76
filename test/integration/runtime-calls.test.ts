/** Finding a runtime and calling it, with small programs in its place, and on the executable's engine. */
import { execFile } from 'node:child_process';
import {
  closeSync,
  lstatSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Layout } from '../../src/core/layout.ts';
import {
  beginContainer,
  removeRuntimeState,
  runtimeStateExists,
} from '../../src/runtime/drive-container.ts';
import { resolveRuntime } from '../../src/runtime/resolve-runtime.ts';
import type { CreateContainerOptions, Runtime, RuntimeKind } from '../../src/runtime/runtime.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { readProcess } from '../../src/sys/processes.ts';
import { openNullDevice } from '../../src/sys/start-program.ts';
import { makeFolder, RuntimeLab, writeScript } from '../support/runtimes/runtime-lab.ts';

let folder: string;
let layout: Layout;
let create: CreateContainerOptions;

const silent = openNullDevice('both');
afterAll(() => closeSync(silent));

beforeEach(() => {
  folder = makeFolder();
  layout = { root: folder, run: `${folder}/run`, policyFile: '', slots: '' };
  create = {
    id: 't1',
    stateRoot: `${folder}/state`,
    bundle: `${folder}/bundle`,
    logFile: `${folder}/log`,
    pidFile: `${folder}/pid`,
    stdio: [silent, silent, silent],
  };
});
afterEach(() => rmSync(folder, { recursive: true }));

function fakeRuntime(script: string, kind: RuntimeKind = 'other'): Runtime {
  const path = `${folder}/fake`;
  writeScript(path, `#!/bin/sh\n${script}\n`);
  return { kind, path, version: '1' };
}

/** Bun, the executable's engine. */
function enginePath(): string {
  const engine = `@oven/bun-linux-${process.arch === 'arm64' ? 'aarch64' : process.arch}/bin/bun`;
  return new URL(`../../node_modules/${engine}`, import.meta.url).pathname;
}

function createContainer(runtime: Runtime, options: CreateContainerOptions, config = '{}') {
  return beginContainer(linuxSystem, runtime, options).finish(config);
}

/** A runtime that counts how often it is asked for its version. */
function writeCounted(path: string, version: string): void {
  writeScript(
    path,
    `#!/bin/sh\necho asked >> ${folder}/asked\nprintf 'runc version ${version}\\nspec: 1.2.0\\n'\n`,
  );
}
const timesAsked = () => readFileSync(`${folder}/asked`, 'utf8').split('\n').length - 1;

/** Resolves like a new process, with an empty cache. */
async function freshResolve(): Promise<typeof resolveRuntime> {
  vi.resetModules();
  return (await import('../../src/runtime/resolve-runtime.ts')).resolveRuntime;
}

describe('resolveRuntime', () => {
  test('prefers the installation’s runtime to the search order', async () => {
    await mkdir(`${folder}/a`);
    await mkdir(`${folder}/b`);
    const searchDirectories = [`${folder}/a`, `${folder}/b`];
    writeCounted(`${folder}/b/runc`, '1.1.15');
    expect((await resolveRuntime('runc', { layout, searchDirectories })).path).toBe(
      `${folder}/b/runc`,
    );
    writeCounted(`${folder}/a/runc`, '1.2.8');
    expect((await resolveRuntime('runc', { layout, searchDirectories })).version).toBe('1.2.8');
    await mkdir(`${folder}/runtimes`);
    writeCounted(`${folder}/own`, '1.3.6+ds1');
    symlinkSync(`${folder}/own`, `${folder}/runtimes/runc`);
    expect(await resolveRuntime('runc', { layout, searchDirectories })).toEqual({
      kind: 'runc',
      path: `${folder}/runtimes/runc`,
      version: '1.3.6+ds1',
    });
  });

  test('asks for the version once per executable, for all processes', async () => {
    const path = `${folder}/runc`;
    writeCounted(path, '1.3.6');
    await resolveRuntime(path, { layout });
    await resolveRuntime(path, { layout });
    expect((await (await freshResolve())(path, { layout })).version).toBe('1.3.6');
    expect(timesAsked()).toBe(1);
    rmSync(path);
    writeCounted(path, '1.3.7-longer');
    expect((await resolveRuntime(path, { layout })).version).toBe('1.3.7-longer');
    expect((await (await freshResolve())(path, { layout })).version).toBe('1.3.7-longer');
    expect(timesAsked()).toBe(2);
  });

  test.each(['', '{', 'null', '[]', '{"fingerprint":{},"runtime":{}}', '"text"'])(
    'asks again if the stored version is damaged: %j',
    async (damage) => {
      const path = `${folder}/runc`;
      writeCounted(path, '1.3.6');
      await resolveRuntime(path, { layout });
      const [name] = readdirSync(`${layout.run}/runtime-versions`);
      const file = `${layout.run}/runtime-versions/${name}`;
      const intact = readFileSync(file, 'utf8');
      writeFileSync(file, damage);
      expect((await (await freshResolve())(path, { layout })).version).toBe('1.3.6');
      expect(timesAsked()).toBe(2);
      expect(readFileSync(file, 'utf8')).toBe(intact);
      expect(readdirSync(`${layout.run}/runtime-versions`)).toEqual([name]);
    },
  );

  test.each([
    ['runc', 'ERR_STACKSHIM_RUNTIME_NOT_FOUND', { package: 'runc' }],
    ['crun', 'ERR_STACKSHIM_RUNTIME_NOT_FOUND', { package: 'crun' }],
    ['/nowhere/runc', 'ERR_STACKSHIM_RUNTIME_NOT_FOUND', {}],
    ['/etc/passwd', 'ERR_STACKSHIM_RUNTIME_NOT_FOUND', {}],
    ['/etc/passwd/runc', 'ERR_STACKSHIM_RUNTIME_NOT_FOUND', {}],
    ['/bin/true', 'ERR_STACKSHIM_RUNTIME_NOT_FOUND', { runtime: '/bin/true' }],
    ['/bin/false', 'ERR_STACKSHIM_RUNTIME_NOT_FOUND', { runtime: '/bin/false' }],
    ['bash', 'ERR_STACKSHIM_SPEC_INVALID', { field: 'runtime' }],
    ['./runc', 'ERR_STACKSHIM_SPEC_INVALID', { field: 'runtime' }],
    ['', 'ERR_STACKSHIM_SPEC_INVALID', { field: 'runtime' }],
  ])('refuses %j', async (requested, code, details) => {
    await expect(
      resolveRuntime(requested, { layout, searchDirectories: [folder] }),
    ).rejects.toMatchObject({ code, details });
  });

  test.each([
    ['runc version 1.0.3', '1.1.0'],
    ['crun version 1.7.2', '1.8'],
  ])('refuses %s as too old', async (output, oldest) => {
    const { path } = fakeRuntime(`printf '${output}\\nspec: 1.0.0\\n'`);
    await expect(resolveRuntime(path, { layout })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_RUNTIME_TOO_OLD',
      details: { oldest },
    });
  });
});

/** A shell line that reads the bundle's configuration as a runtime does. */
const readConfig = () => `cat ${folder}/bundle/config.json`;

describe('the configuration that a container gets', () => {
  test('is awaited by runc, which starts before it exists', async () => {
    const script = `touch ${folder}/started; ${readConfig()} > ${folder}/seen; exit 1`;
    const creation = beginContainer(linuxSystem, fakeRuntime(script, 'runc'), create);
    await expect.poll(() => readdirSync(folder)).toContain('started');
    await expect(creation.finish('{"a":1}')).rejects.toMatchObject({ details: { exitCode: 1 } });
    expect(readFileSync(`${folder}/seen`, 'utf8')).toBe('{"a":1}');
    // The bundle then contains a plain file.
    expect(lstatSync(`${folder}/bundle/config.json`).isFile()).toBe(true);
    expect(readFileSync(`${folder}/bundle/config.json`, 'utf8')).toBe('{"a":1}');
  });

  test.each(['runc', 'other'] as const)('can be larger than a pipe: %s', async (kind) => {
    const runtime = fakeRuntime(`${readConfig()} > ${folder}/seen; exit 1`, kind);
    const config = JSON.stringify('x'.repeat(3_000_000));
    await expect(createContainer(runtime, create, config)).rejects.toMatchObject({
      details: { exitCode: 1 },
    });
    expect(readFileSync(`${folder}/seen`, 'utf8') === config).toBe(true);
  });

  test('can be larger than a pipe if runc ends without reading it', async () => {
    const config = JSON.stringify('x'.repeat(3_000_000));
    await expect(
      createContainer(fakeRuntime('exit 4', 'runc'), create, config),
    ).rejects.toMatchObject({ details: { exitCode: 4 } });
  });

  test('can fail to come: runc is ended when the creation is cancelled', async () => {
    const script = `echo $$ > ${folder}/child; ${readConfig()}; touch ${folder}/went-on`;
    const creation = beginContainer(linuxSystem, fakeRuntime(script, 'runc'), create);
    await expect.poll(() => readdirSync(folder)).toContain('child');
    await creation.cancel();
    const pid = Number(readFileSync(`${folder}/child`, 'utf8'));
    expect(readProcess(pid)).toBeUndefined();
  });

  test('can be lost with its writer: runc reads its end, and ends', async () => {
    const script = `echo $$ > ${folder}/child; ${readConfig()}; touch ${folder}/read-to-the-end`;
    const runtime = fakeRuntime(script, 'runc');
    const fixture = new URL('../fixtures/begin-container.ts', import.meta.url).pathname;
    const args = [fixture, JSON.stringify(runtime), JSON.stringify(create), `${folder}/child`];
    await expect(promisify(execFile)(enginePath(), args)).rejects.toMatchObject({
      signal: 'SIGKILL',
    });
    await expect.poll(() => readdirSync(folder)).toContain('read-to-the-end');
  });
});

describe.each(['runc', 'other'] as const)('%s that misbehaves', (kind) => {
  const fake = (script: string) => fakeRuntime(script, kind);

  /** True for a zombie too, because its new parent may reap it later. */
  const isGone = (pidFile: string) => () =>
    (readProcess(Number(readFileSync(pidFile, 'utf8')))?.state ?? 'Z') === 'Z';

  test('ends with its children at the time limit', async () => {
    const runtime = fake(`sleep 600 & echo $! > ${folder}/child; wait`);
    await expect(createContainer(runtime, { ...create, timeoutMs: 200 })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_RUNTIME_FAILED',
      details: { reason: 'timeout' },
    });
    await expect.poll(isGone(`${folder}/child`)).toBe(true);
  });

  test('ends when the call is aborted', async () => {
    const runtime = fake(`echo $$ > ${folder}/child; exec sleep 600`);
    const abort = new AbortController();
    const pending = createContainer(runtime, { ...create, signal: abort.signal });
    pending.catch(() => abort.signal);
    await expect.poll(() => readdirSync(folder)).toContain('child');
    abort.abort();
    await expect(pending).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_RUNTIME_FAILED',
      details: { reason: 'aborted' },
    });
    await expect.poll(isGone(`${folder}/child`)).toBe(true);
  });

  test('is not started if the call is aborted before', async () => {
    const runtime = fake(`touch ${folder}/ran`);
    const signal = AbortSignal.abort();
    await expect(createContainer(runtime, { ...create, signal })).rejects.toMatchObject({
      details: { reason: 'aborted' },
    });
    expect(readdirSync(folder)).not.toContain('ran');
  });

  test.each(['', 'x', '0', '1', '-5', '99999999999'])(
    'that reports %j as a pid is refused',
    async (text) => {
      const runtime = fake(`printf %s '${text}' > ${folder}/pid`);
      await expect(createContainer(runtime, create)).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_RUNTIME_FAILED',
      });
    },
  );

  test('that writes no pid file, logs nothing, or does not exist is reported', async () => {
    await expect(createContainer(fake('exit 0'), create)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_RUNTIME_FAILED',
      message: expect.stringContaining('pid file'),
    });
    const again = { ...create, bundle: `${folder}/second` };
    await expect(createContainer(fake('exit 3'), again)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_RUNTIME_FAILED',
      details: { exitCode: 3, log: '' },
    });
    const gone = { ...fake('exit 0'), path: `${folder}/gone` };
    await expect(
      createContainer(gone, { ...create, bundle: `${folder}/third` }),
    ).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_RUNTIME_NOT_FOUND',
    });
  });

  test('gets nothing of the caller’s environment', async () => {
    process.env['STACKSHIM_SECRET'] = 'secret';
    try {
      const runtime = fake(`env > ${folder}/env; pwd > ${folder}/pwd; exit 1`);
      await expect(createContainer(runtime, create)).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_RUNTIME_FAILED',
      });
    } finally {
      delete process.env['STACKSHIM_SECRET'];
    }
    expect(readFileSync(`${folder}/env`, 'utf8')).not.toContain('secret');
    expect(readFileSync(`${folder}/pwd`, 'utf8')).toBe('/\n');
  });
});

describe('the state of a container', () => {
  test('of another runtime is deleted by that runtime, once', async () => {
    const runtime = fakeRuntime(`echo "$@" >> ${folder}/calls; rm -r ${folder}/state/t1`);
    await mkdir(`${folder}/state/t1`, { recursive: true });
    expect(runtimeStateExists(runtime, create)).toBe(true);
    await removeRuntimeState(runtime, create, create);
    await removeRuntimeState(runtime, create, create);
    expect(readFileSync(`${folder}/calls`, 'utf8')).toBe(
      `--root ${folder}/state --log ${folder}/log --log-format json delete --force t1\n`,
    );
  });

  test('of another runtime that does not delete it is an error', async () => {
    await mkdir(`${folder}/state/t1`, { recursive: true });
    await expect(removeRuntimeState(fakeRuntime('exit 1'), create, create)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_RUNTIME_FAILED',
    });
  });

  test.each(['', '.', '..', '../t1', 'a/b', '/t1', 't\n'])('refuses the id %j', async (id) => {
    const runtime: Runtime = { kind: 'runc', path: '/runc', version: '1.3.6' };
    const container = { id, stateRoot: `${folder}/state` };
    const refused = { code: 'ERR_STACKSHIM_INTERNAL' };
    await expect(removeRuntimeState(runtime, container, create)).rejects.toMatchObject(refused);
    expect(() => runtimeStateExists(runtime, container)).toThrow(expect.objectContaining(refused));
  });
});

test('the same code drives a container on the engine of the executable', async () => {
  const lab = new RuntimeLab();
  const runtime = await resolveRuntime('runc', { layout });
  const id = 't-bun';
  try {
    const config = lab.config(id, ['sleep', '600']);
    const options = { ...create, ...lab.reference(id), bundle: lab.bundle(id) };
    const script = new URL('../fixtures/drive-container.ts', import.meta.url).pathname;
    const argument = JSON.stringify({ path: runtime.path, layout, create: options, config });
    const { stdout } = await promisify(execFile)(enginePath(), [script, argument]);
    const { init, version } = JSON.parse(stdout);
    expect(version).toBe(runtime.version);
    // The program that ran it has ended: this process, a subreaper, is now the parent of the init process.
    lab.adopt(id, init);
    expect(readdirSync(`${lab.stateRoot}/${id}`)).toEqual(['state.json']);
    const commandLine = () => readFileSync(`/proc/${init.pid}/cmdline`, 'utf8').split('\0');
    await expect.poll(commandLine).toEqual(['sleep', '600', '']);
  } finally {
    expect(await lab.remove(runtime)).toEqual([]);
    lab.removeFolder();
  }
});
