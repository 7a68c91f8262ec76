/** `run` with every runtime, with broken ones, and stopped while a container is being created. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findProgram } from '../../src/sys/find-program.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { replaceProgram } from '../support/programs/replace-program.ts';
import {
  makeGate,
  realRunc,
  writeExecutable,
  writeFakeRuntime,
} from '../support/runtimes/fake-runtime.ts';
import { runtimesUnderTest } from '../support/runtimes/runtime-lab.ts';
import { describeRuntime } from './support/runtime-cases.ts';

const runner = useTaskRunner();
const { installation, run, start, folder, setPolicy } = runner;
const { layout } = installation;
/** The policy must allow paths. */
function allow(...paths: string[]): void {
  setPolicy({ allow: { runtimes: ['runc', ...paths] } });
}

afterEach(() => setPolicy(null));

describe.each(runtimesUnderTest(folder))('--runtime $path ($name)', ({ path }) => {
  beforeEach(() => allow(path));
  describeRuntime(runner, path);
});

describe('a runtime that cannot be used', () => {
  it('is denied if given by a path that the policy does not name', async () => {
    const { status, stderr, record } = await run(['--runtime', '/usr/sbin/runc'], ['true']);
    expect(status).toBe(125);
    expect(stderr).toContain('[ERR_STACKSHIM_SPEC_DENIED]');
    expect(record).toBeUndefined();
  });

  it.each([
    ['is missing', undefined, 'ERR_STACKSHIM_RUNTIME_NOT_FOUND'],
    ['is not a runtime', '#!/bin/sh\necho hello\n', 'ERR_STACKSHIM_RUNTIME_NOT_FOUND'],
    ['is too old', '#!/bin/sh\necho runc version 1.0.0\n', 'ERR_STACKSHIM_RUNTIME_TOO_OLD'],
    ['is too old', '#!/bin/sh\necho crun version 1.4\n', 'ERR_STACKSHIM_RUNTIME_TOO_OLD'],
  ])('starts no task if it %s', async (_, text, code) => {
    const path = join(folder, `runtime-${text === undefined ? 'missing' : code}`);
    if (text !== undefined) writeExecutable(path, text);
    allow(path);
    const { status, stderr, record } = await run(['--runtime', path], ['true']);
    expect(status).toBe(125);
    expect(stderr).toMatch(new RegExp(`^stackshim: .* \\[${code}\\]\n {2}hint: .+\n$`));
    expect(record).toBeUndefined();
  });

  it('that fails makes the task a fault of the platform', async () => {
    const path = join(folder, 'failing');
    writeFakeRuntime(path, { real: realRunc(layout), beforeCreate: 'exit 1' });
    allow(path);
    const { status, record } = await run(['--runtime', path], ['true']);
    expect(status).toBe(125);
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'setup_failed',
      retryable: true,
      error: { code: 'ERR_STACKSHIM_RUNTIME_FAILED' },
    });
  });

  it('that fails after creating the container leaves nothing', async () => {
    const path = join(folder, 'late-failing');
    writeFakeRuntime(path, { real: realRunc(layout), afterCreate: 'exit 1' });
    allow(path);
    const { status, record } = await run(['--runtime', path], ['true']);
    expect(status).toBe(125);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'setup_failed', retryable: true });
  });

  it('that is killed during create leaves nothing', async () => {
    const path = join(folder, 'killed');
    writeFakeRuntime(path, { real: realRunc(layout), afterCreate: 'kill -KILL $$' });
    allow(path);
    const { status, record } = await run(['--runtime', path], ['true']);
    expect(status).toBe(125);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'setup_failed', retryable: true });
  });
});

describe('a signal during set-up', () => {
  it.each([
    ['before', 'SIGINT', 130],
    ['before', 'SIGTERM', 143],
    ['after', 'SIGINT', 130],
  ] as const)(
    '%s the container is created: %s cancels the task',
    async (when, signal, expected) => {
      const gate = makeGate(folder, `create-${when}-${signal}`);
      const path = join(folder, `waiting-${when}`);
      const key = when === 'before' ? 'beforeCreate' : 'afterCreate';
      writeFakeRuntime(path, { real: realRunc(layout), [key]: gate.stop });
      allow(path);
      const task = start(['--runtime', path], sh('echo ran'));
      await gate.reached();
      task.child.kill(signal);
      const { status, stdout, record } = await task.ended;
      expect({ status, stdout }).toEqual({ status: expected, stdout: '' });
      expect(record).toMatchObject({
        ...CLEAN,
        verdict: 'cancelled',
        exitCode: null,
        signal: null,
        error: null,
      });
    },
  );

  it('cancels the task while its code is being packed', async () => {
    const gate = makeGate(folder, 'packing');
    const code = join(folder, 'code');
    mkdirSync(code);
    writeFileSync(join(code, 'file'), 'content');
    const waiting = join(folder, 'waiting');
    writeExecutable(waiting, `#!/bin/sh\n${gate.stop}\nexec false\n`);
    const mkfs = findProgram('mkfs.erofs', { package: 'erofs-utils' });
    const task = start(['--code', code], ['true'], { through: replaceProgram(mkfs, waiting) });
    await gate.reached();
    task.child.kill('SIGINT');
    const { status, record } = await task.ended;
    expect(status).toBe(130);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'cancelled', error: null });
    expect(existsSync(join(layout.root, 'scratch', record?.id ?? ''))).toBe(false);
  });
});
