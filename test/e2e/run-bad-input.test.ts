/** `run` with input that it must refuse: one clear error each, no task, nothing lost or left. */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { runTask } from '../../src/index.ts';
import { runCli, STACKSHIM } from '../support/cli/run-cli.ts';
import { type RunnerOptions, useTaskRunner } from '../support/cli/task-runner.ts';
import { realRunc } from '../support/runtimes/fake-runtime.ts';
import { expectRefusal } from './support/refusal.ts';

const { installation, run, start, folder, setPolicy } = useTaskRunner();
const { layout, env } = installation;

afterEach(async () => {
  setPolicy(null);
  expect((await run([], ['true'])).status).toBe(0);
});

/** Expects a refusal before there is a task: no record, no event, no effect of the command. */
async function expectNoTask(
  options: readonly string[],
  code: ErrorCode,
  more: RunnerOptions = {},
): Promise<void> {
  const events = join(folder, 'events');
  writeFileSync(events, '');
  const result = await run(['--events', events, ...options], ['echo', 'ran'], more);
  expectRefusal(result, code);
  expect(result.record).toBeUndefined();
  expect(readFileSync(events, 'utf8')).toBe('');
}

describe('a stack', () => {
  it.each([
    ['no-such-stack', 'ERR_STACKSHIM_STACK_NOT_FOUND'],
    ['busybox@rev:7', 'ERR_STACKSHIM_STACK_NOT_FOUND'],
    [`busybox@sha256:${'0'.repeat(64)}`, 'ERR_STACKSHIM_STACK_NOT_FOUND'],
    ['busybox@rev:0', 'ERR_STACKSHIM_SPEC_INVALID'],
    ['busybox@latest', 'ERR_STACKSHIM_SPEC_INVALID'],
    ['../busybox', 'ERR_STACKSHIM_SPEC_INVALID'],
    ['', 'ERR_STACKSHIM_SPEC_INVALID'],
  ] as const)('%j is refused', async (stack, code) => {
    expectRefusal(await runCli(['run', stack, 'true'], { env }), code);
  });

  it('whose name is almost that of a stack is refused with a suggestion', async () => {
    const { stderr } = await runCli(['run', 'busibox', 'true'], { env });
    expect(stderr).toContain('did you mean busybox?');
  });
});

describe('an option', () => {
  it.each([
    ['--no-such-option'],
    ['--memory'],
    ['-m', '4194303'],
    ['-m', '1k'],
    ['-m', '-64m'],
    ['-m', 'lots'],
    ['--cpus', '0'],
    ['--cpus', '-1'],
    ['--cpus', 'all'],
    ['--pids-limit', '0'],
    ['--pids-limit', '1.5'],
    ['--timeout', '-1s'],
    ['--timeout', '0'],
    ['--timeout', '721h'],
    ['--timeout', '99999999999999h'],
    ['--timeout', 'soon'],
    ['--stop-timeout', '-1s'],
    ['--stop-timeout', '2h'],
    ['--output-limit', '0'],
    ['--ulimit', 'files=1'],
    ['--ulimit', 'nofile=20:10'],
    ['-w', 'relative'],
    ['-w', '/a\nb'],
    ['-u', 'a b'],
    ['--hostname', '-x'],
    ['--mount', 'type=volume,source=x,target=/x'],
    ['--mount', 'type=bind,source=/tmp'],
    ['--mount', 'type=bind,source=/tmp,target=/proc'],
    ['--mount', 'type=bind,source=/tmp,target=/x,bogus=1'],
    ['-v', '/tmp'],
    ['-v', '/tmp:/x:rx'],
    ['--tmpfs', '/x:size=-1'],
    ['--tmpfs', '/'],
    ['--network', 'bridge'],
    ['--cap-add', 'EVERYTHING'],
    ['--security-opt', 'apparmor=x'],
    ['--userns', 'private'],
    ['--label', '=x'],
    ['--name', '../x'],
    ['--name', 'x'.repeat(65)],
    ['--runtime', 'docker'],
    ['--runtime', './runc'],
    ['--remove', 'never'],
    ['--bundle', 'UPPER'],
    ['-e', '=x'],
    ['-i', '-t'],
  ])('%s %s is refused', async (...options) => {
    await expectNoTask(options, 'ERR_STACKSHIM_SPEC_INVALID');
  });

  it.each([
    ['-m', String(totalmem() + 4096)],
    ['-m', '1000t'],
    ['--cpus', '8000'],
    ['--runtime', '/usr/sbin/runc'],
    ['--bundle', 'no-such-bundle'],
  ])('%s %s is refused as more than the host has or the policy allows', async (...options) => {
    await expectNoTask(options, 'ERR_STACKSHIM_SPEC_DENIED');
  });

  it.each([
    ['--payload-file', '/no/such/file'],
    ['--payload-file', '/etc'],
    ['--payload-file', '/dev/null'],
    ['--config-file', '/no/such/file'],
    ['--env-file', '/no/such/file'],
    ['--env-file', '/etc'],
    ['--code', '/no/such/folder'],
    ['--security-opt', 'seccomp=/no/such/file'],
    ['-v', '/no/such/folder:/x'],
  ])('%s %s is refused because the file or folder cannot be read', async (...options) => {
    await expectNoTask(options, 'ERR_STACKSHIM_INPUT_NOT_FOUND');
  });

  it('is refused together with an option that it excludes', async () => {
    await expectNoTask(
      ['--payload', 'x', '--payload-file', '/etc/hostname'],
      'ERR_STACKSHIM_SPEC_INVALID',
    );
  });

  it.each([
    ['not JSON', '{'],
    ['no profile', '[]'],
    ['an unknown action', '{"defaultAction":"SCMP_ACT_WHATEVER"}'],
    ['a notifying action', '{"defaultAction":"SCMP_ACT_NOTIFY"}'],
  ])('with a seccomp profile that is %s is refused', async (_, text) => {
    const file = join(folder, 'profile.json');
    writeFileSync(file, text);
    const result = await run(['--security-opt', `seccomp=${file}`], ['true']);
    expect(result.status).toBe(125);
    expect(result.stderr).toMatch(
      /^stackshim: [^\n]+ \[ERR_STACKSHIM_(SPEC_INVALID|INPUT_NOT_FOUND)\]\n {2}hint: /,
    );
    expect(result.record).toBeUndefined();
  });
});

describe('a task id', () => {
  it('that is in use is refused, and the task that has it runs on', async () => {
    const task = start(['--name', 'taken'], ['sh', '-c', 'echo ready; exec sleep 3600']);
    await task.printed('ready');
    await expectNoTask(['--name', 'taken'], 'ERR_STACKSHIM_TASK_CONFLICT');
    task.child.kill('SIGTERM');
    expect(await task.ended).toMatchObject({ status: 143, record: { verdict: 'cancelled' } });
  });
});

describe('a policy', () => {
  it.each([
    ['not JSON', '{'],
    ['no object', '[]'],
    ['with an unknown field', '{"defaults":{"memroy":"1g"}}'],
    ['with an unknown value', '{"maxima":{"memory":"much"}}'],
    ['with text in place of a list', '{"allow":{"networks":["bridge"]}}'],
  ])('that is %s is refused', async (_, text) => {
    writeFileSync(layout.policyFile, text, { mode: 0o644 });
    await expectNoTask([], 'ERR_STACKSHIM_POLICY_INVALID');
  });

  it('that other users may write is refused', async () => {
    setPolicy({});
    chmodSync(layout.policyFile, 0o666);
    await expectNoTask([], 'ERR_STACKSHIM_POLICY_INVALID');
  });

  it('that is a folder is refused', async () => {
    rmSync(layout.policyFile);
    mkdirSync(layout.policyFile);
    await expectNoTask([], 'ERR_STACKSHIM_POLICY_INVALID');
    rmdirSync(layout.policyFile);
  });

  it('that is named and missing is refused, whether the option or the variable names it', async () => {
    rmSync(layout.policyFile, { force: true });
    await expectNoTask([], 'ERR_STACKSHIM_POLICY_INVALID');
    const { root, run, policyFile } = layout;
    const place = { root, run, policy: policyFile };
    await expect(runTask({ stack: 'busybox' }, place)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_POLICY_INVALID',
      details: { file: policyFile },
      hint: expect.stringContaining('STACKSHIM_POLICY'),
    });
  });

  it.each([
    [{ maxima: { memory: '64m' } }, ['-m', '65m']],
    [{ maxima: { timeout: '1m' } }, ['--timeout', '61s']],
    [{ allow: { networks: ['none'] } }, ['--network', 'host']],
    [{ allow: { userns: ['auto'] } }, ['--userns', 'host']],
    [{ allow: { capAdd: ['CAP_NET_RAW'] } }, ['--cap-add', 'SYS_ADMIN']],
    [{ allow: { bindSources: ['/srv'] } }, ['-v', '/etc:/x:ro']],
    [{ allow: { seccomp: ['bundle'] } }, ['--security-opt', 'seccomp=unconfined']],
    [{ allow: { newPrivileges: false } }, ['--security-opt', 'no-new-privileges=false']],
    [{ allow: { runtimes: ['runc'] } }, ['--runtime', 'crun']],
    [{ allow: { bundles: [] } }, []],
  ])('%j denies %j', async (policy, options) => {
    setPolicy(policy);
    await expectNoTask(options, 'ERR_STACKSHIM_SPEC_DENIED');
  });
});

describe('a host', () => {
  it('where the caller is not root is refused', async () => {
    const program = join(folder, 'stackshim');
    copyFileSync(STACKSHIM, program);
    const user = ['setpriv', '--reuid=1000', '--regid=1000', '--clear-groups'];
    // The checkout may lie in a folder that only root can enter.
    const through = [...user, 'sh', '-c', `shift; exec ${program} "$@"`, 'sh'];
    const result = await runCli(['run', 'busybox', 'true'], { env, through, cwd: '/' });
    expectRefusal(result, 'ERR_STACKSHIM_NOT_ROOT');
  });

  it('without a runtime is refused', async () => {
    // Hidden in its own mount namespace, without effect on other processes.
    const hidden = [realRunc(layout), '/usr/sbin/runc'].map((path) => `"$(realpath ${path})"`);
    const hide = hidden.map((path) => `mount --bind /dev/null ${path}`).join(' && ');
    const through = ['unshare', '-m', 'sh', '-c', `${hide} && exec "$@"`, 'sh'];
    await expectNoTask([], 'ERR_STACKSHIM_RUNTIME_NOT_FOUND', { through });
  });

  it('without mkfs.erofs cannot pack code', async () => {
    const hide = 'mount --bind /dev/null "$(command -v mkfs.erofs)"';
    const through = ['unshare', '-m', 'sh', '-c', `${hide} && exec "$@"`, 'sh'];
    const result = await run(['--code', '/etc/default'], ['true'], { through });
    expectRefusal(result, 'ERR_STACKSHIM_TOOL_MISSING');
    expect(result.stderr).toContain('erofs-utils');
    expect(result.record).toMatchObject({ verdict: 'setup_failed', retryable: true });
  });
});
