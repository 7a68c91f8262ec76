/** `--device`: a host device in a task, as the policy and the requested access allow. Requires: root. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { runTask } from '../../src/door/open-stackshim.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { runtimesUnderTest } from '../support/runtimes/runtime-lab.ts';
import { expectRefusal } from './support/refusal.ts';

const { installation, run, folder, setPolicy } = useTaskRunner();
/** A device that exists wherever tasks have scratch volumes; opening it changes nothing. */
const DEVICE = '/dev/loop-control';
const runtimes = runtimesUnderTest(folder);

/** The result that a shell gets when it opens `path`. */
const opens = (path: string) =>
  ['<', '>'].map((way) => `(exec 3${way}${path}) 2>&1 && echo ok`).join('; ');

const allowing = (...devices: readonly string[]) => ({
  allow: { devices, runtimes: ['runc', ...runtimes.map(({ path }) => path)] },
});

describe('a device that the policy allows', () => {
  beforeEach(() => setPolicy(allowing(DEVICE)));

  it.each(runtimes)('is in the task with $name, for any user', async ({ path }) => {
    for (const options of [['-u', '0'], ['-u', '1000'], ['--userns', 'host'], ['--read-only']]) {
      const given = ['--runtime', path, '--device', DEVICE, ...options];
      const script = `stat -c "%t:%T %a" ${DEVICE}; ${opens(DEVICE)}`;
      const { stdout, record } = await run(given, sh(script));
      expect(stdout).toBe('a:ed 666\nok\nok\n');
      expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
    }
  });

  it.each(runtimes)('has the given path and access with $name', async ({ path }) => {
    const device = `${DEVICE}:/dev/devices/control:r`;
    const script = `ls /dev/devices; ${opens('/dev/devices/control')}; ls ${DEVICE}`;
    const { stdout } = await run(['--runtime', path, '--device', device], sh(script));
    const [listed, read, written, ...rest] = stdout.trimEnd().split('\n');
    expect([listed, read, rest]).toEqual(['control', 'ok', []]);
    expect(written).toContain('Operation not permitted');
  });

  it('is the target of a link', async () => {
    const link = join(folder, 'link');
    symlinkSync(DEVICE, link);
    const options = ['--device', `${link}:/dev/control`];
    const denied = await run(options, sh('true'));
    expect(denied.status).toBe(125);
    expect(denied.stderr).toContain(`--device ${link}: the policy's allow.devices allows only`);
    setPolicy(allowing(DEVICE, folder));
    expect(await run(options, sh(opens('/dev/control')))).toMatchObject({ stdout: 'ok\nok\n' });
  });

  it('can be given through the library', async () => {
    const task = { stack: 'busybox', devices: [`${DEVICE}:/dev/a`], command: sh(opens('/dev/a')) };
    const { output } = await runTask(task, installation.options);
    expect(output.stdout).toBe('ok\nok\n');
  });

  it('is not in a task that does not ask for it', async () => {
    expect(await run([], sh(`ls ${DEVICE} 2>&1`))).toMatchObject({ status: 1 });
  });
});

describe('no task starts', () => {
  const refuse = async (code: ErrorCode, device: string) => {
    const result = await run(['--device', device], sh('echo ran'));
    expectRefusal(result, code);
    expect(result.record).toBeUndefined();
    return result.stderr;
  };

  it('without a policy that allows the device', async () => {
    setPolicy(null);
    await refuse('ERR_STACKSHIM_SPEC_DENIED', DEVICE);
    setPolicy(allowing('/dev/loop'));
    await refuse('ERR_STACKSHIM_SPEC_DENIED', DEVICE);
  });

  it('if a link leads to a device that is not allowed', async () => {
    const allowed = join(folder, 'allowed');
    mkdirSync(allowed);
    symlinkSync(DEVICE, join(allowed, 'link'));
    setPolicy(allowing(allowed));
    const told = await refuse('ERR_STACKSHIM_SPEC_DENIED', `${allowed}/link:/dev/control`);
    expect(told).toContain(`--device ${DEVICE}: the policy's allow.devices allows only ${allowed}`);
  });

  it('if the path is missing, is not a device, or is reserved in a task', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    setPolicy(allowing(folder, '/dev'));
    const told = await refuse('ERR_STACKSHIM_SPEC_INVALID', `${file}:/dev/file`);
    expect(told).toContain(`--device: ${file}: not a device`);
    await refuse('ERR_STACKSHIM_INPUT_NOT_FOUND', '/dev/no-such-device');
    await refuse('ERR_STACKSHIM_SPEC_INVALID', `${DEVICE}:/etc/control`);
    await refuse('ERR_STACKSHIM_SPEC_INVALID', '/dev/null');
  });
});
