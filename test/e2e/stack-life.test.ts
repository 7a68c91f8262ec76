/** The `stack` commands for a stack's revisions, as a person and a program use them. */
import { existsSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ImageConfig } from '../../src/store/images/image.ts';
import { writeImage } from '../../src/store/images/store-image.ts';
import { addRevision } from '../../src/store/stacks/change-revisions.ts';
import { flipStacks } from '../../src/store/stacks/flip-stacks.ts';
import { resolveStack } from '../../src/store/stacks/resolve-stack.ts';
import { rollbackStack } from '../../src/store/stacks/rollback.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { runCli, startCli } from '../support/cli/run-cli.ts';
import { STORED, useInstallation } from '../support/installation/installation.ts';
import { installBusyboxStack } from '../support/stacks/busybox-stack.ts';
import { digestOf, NOW, stackName } from '../support/stacks/stack-store.ts';
import { startRedis } from '../support/stores/start-redis.ts';

const { layout, env } = useInstallation([STORED]);
const busybox = stackName('busybox');

const stack = (...args: readonly string[]) => runCli(['stack', ...args], { env });
const stackJson = async (...args: readonly string[]) =>
  JSON.parse((await stack(...args, '--json')).stdout);
const current = () => resolveStack(layout, { name: busybox }).revision;

/** Adds a revision with other labels to the stack, and makes it current. */
async function addNext(
  labels: Readonly<Record<string, string>> = {},
  settings: Partial<ImageConfig> = {},
): Promise<number> {
  const { image } = resolveStack(layout, { name: busybox });
  const digest = digestOf(`next ${Math.random()}`);
  const config = {
    ...image.config,
    ...settings,
    labels: { ...image.config.labels, ...labels },
  };
  await writeImage(layout, { ...image, digest, config });
  const { revision } = await addRevision(layout, linuxSystem, {
    stack: busybox,
    image: digest,
    source: { kind: 'import', reference: 'test' },
    now: NOW,
  });
  const changes = new Map([[busybox, revision]]);
  await flipStacks(layout, linuxSystem, { changes, now: NOW, reason: 'test' });
  return revision;
}

describe('rollback and history', () => {
  it('return to an earlier revision, and list the revisions', async () => {
    const next = await addNext();
    const { status, stdout } = await stack('rollback', 'busybox');
    expect({ status, stdout }).toEqual({ status: 0, stdout: `busybox: rev:${next} -> rev:1\n` });
    const ran = await runCli(['run', '--result', '/dev/stderr', 'busybox', '--', 'true'], { env });
    expect(JSON.parse(ran.stderr)).toMatchObject({ revision: 1, verdict: 'succeeded' });
    expect(await stackJson('rollback', 'busybox', '--to', String(next))).toEqual({
      stack: 'busybox',
      from: 1,
      to: next,
    });
    const listed = await stack('history', 'busybox');
    expect(listed.stdout).toMatch(
      /^REVISION {3}STATE {5}IMAGE +AGE +CURRENT SINCE +SOURCE\n2 +current/,
    );
    expect(await stackJson('history', 'busybox')).toMatchObject([
      { revision: next, state: 'current' },
      { revision: 1, state: 'earlier' },
    ]);
  });

  it.each([
    [['rollback', 'nothing'], 3, 'ERR_STACKSHIM_STACK_NOT_FOUND'],
    [['rollback', 'busybox', '--to', '99'], 3, 'ERR_STACKSHIM_STACK_NOT_FOUND'],
    [['rollback', 'busybox', '--to', '0'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
    [['rollback', '../x'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
    [['history', 'nothing'], 3, 'ERR_STACKSHIM_STACK_NOT_FOUND'],
    [['diff', 'busybox', 'x'], 3, 'ERR_STACKSHIM_STACK_NOT_FOUND'],
    [['diff', 'busybox', 'x', '1'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
    [['diff', 'busybox', '0'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
    [['diff', 'busybox', '1', '2', '3'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
    [['diff', 'busybox@rev:1', '2'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
    [['diff', 'busybox@rev:1'], 3, 'ERR_STACKSHIM_STACK_NOT_FOUND'],
    [['diff', 'busybox', '1', '99'], 3, 'ERR_STACKSHIM_STACK_NOT_FOUND'],
    [['rm', 'nothing'], 3, 'ERR_STACKSHIM_STACK_NOT_FOUND'],
    [['update'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
    [['update', '--all', 'busybox'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
    [['update', 'nothing'], 3, 'ERR_STACKSHIM_STACK_NOT_FOUND'],
    [['update', 'busybox'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
    [['update', 'busybox', '--keep', '-1'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
    [['update', 'busybox', '--from', '/nowhere/busybox'], 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    [['release', 'apply', '/nowhere'], 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    [['release', 'apply', '/dev/zero'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
    [['release', 'rollback', '--to', '9999'], 3, 'ERR_STACKSHIM_STACK_NOT_FOUND'],
    [['graph', '--format', 'png'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
  ] as const)('%j ends with %i and changes nothing', async (args, code, error) => {
    const before = current();
    const { status, stderr } = await stack(...args);
    expect(status).toBe(code);
    expect(stderr).toContain(`[${error}]`);
    expect(current()).toBe(before);
  });

  it('need root', async () => {
    const asNobody = { env, through: ['setpriv', '--reuid', '65534', '--clear-groups', '--'] };
    const { status, stderr } = await runCli(['stack', 'rollback', 'busybox'], asNobody);
    expect(status).toBe(1);
    expect(stderr).toContain('[ERR_STACKSHIM_NOT_ROOT]');
  });
});

describe('releases', () => {
  it('switch a set of stacks, and back', async () => {
    await installBusyboxStack(layout, 'second');
    const next = await addNext();
    const file = `${layout.run}/release.json`;
    writeFileSync(file, JSON.stringify({ stacks: { busybox: 1, second: 1 } }));
    const applied = await stackJson('release', 'apply', file);
    expect(applied.moves).toEqual([{ stack: 'busybox', from: next, to: 1 }]);
    expect((await stack('release', 'ls', '--limit', '1')).stdout).toMatch(
      new RegExp(`^GENERATION .*\n${applied.generation} +yes +.* release ${file}\n$`),
    );
    const { status, stdout } = await stack('release', 'rollback');
    expect(status).toBe(0);
    expect(stdout).toBe(
      `busybox: rev:1 -> rev:${next}\ngeneration ${applied.generation + 1}: 1 stack moved\n`,
    );
    writeFileSync(file, JSON.stringify({ stacks: { busybox: 1, second: 7 } }));
    expect((await stack('release', 'apply', file)).status).toBe(3);
    rmSync(file);
    expect(current()).toBe(next);
  });

  it('are announced in the store of the queues before they are applied', async () => {
    const next = await addNext();
    const file = `${layout.run}/release.json`;
    writeFileSync(file, JSON.stringify({ stacks: { busybox: 1 } }));
    const apply = (...args: readonly string[]) =>
      stack('release', 'apply', file, '--announce', ...args);
    const server = await startRedis();
    try {
      expect(await apply('--store', 'redis://127.0.0.1:1')).toMatchObject({ status: 1 });
      expect(await stack('release', 'apply', file, '--lead', '1s')).toMatchObject({ status: 2 });
      expect(await apply('--store', server.url, '--lead', '25h')).toMatchObject({ status: 2 });
      expect(await apply()).toMatchObject({ status: 2 });
      expect(current()).toBe(next);
      expect(await apply('--store', server.url, '--lead', '0')).toMatchObject({
        status: 0,
        stdout: expect.stringMatching(/: 1 stack moved\n$/),
        stderr: 'stackshim: announced busybox@rev:1; applies in 0s\n',
      });
      expect(current()).toBe(1);
      const { content, image } = await stackJson('show', 'busybox@rev:1');
      const entry = await server.command('HGET', 'stackshim:catalogue', 'next/busybox');
      expect(JSON.parse(String(entry))).toMatchObject({ digest: content ?? image });
      writeFileSync(file, JSON.stringify({ stacks: { busybox: next, other: 1 } }));
      expect(await apply('--store', server.url, '--lead', '0')).toMatchObject({ status: 3 });
      expect(current()).toBe(1);
    } finally {
      rmSync(file);
      await server.remove();
    }
  });
});

describe('commands that show stacks', () => {
  it('diff names what differs', async () => {
    await addNext();
    const { status, stdout } = await stack('diff', 'busybox');
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^busybox: rev:\d+ -> rev:\d+\nthe same packages\nthe same settings\nthe same files\nlayers on disk: (.*) -> \1 \(\+0 B\)\n$/,
    );
    expect(await stackJson('diff', 'busybox', '1', '2')).toMatchObject({
      from: 1,
      to: 2,
      before: { stack: 'busybox', revision: 1 },
      after: { stack: 'busybox', revision: 2 },
      summary: { packages: { updated: 0 } },
      packages: [],
      files: [],
      complete: true,
    });
  });

  it('diff names the settings that differ', async () => {
    const before = await addNext({ kept: 'x', 'io.stackshim.epoch': '1' });
    const after = await addNext(
      { kept: 'x', added: 'two\nlines', 'io.stackshim.epoch': '2' },
      {
        env: ['PATH=/bin', 'NEW=a=b'],
        entrypoint: ['/init'],
        user: 'nobody',
        workingDir: '/srv',
        stopSignal: 'SIGQUIT',
        other: { ExposedPorts: { '80/tcp': {} } },
      },
    );
    const changes = [
      ['added', 'ExposedPorts', null, '{"80/tcp":{}}'],
      ['added', 'entrypoint', null, '["/init"]'],
      ['added', 'env NEW', null, 'a=b'],
      ['changed', 'env PATH', '/usr/sbin:/usr/bin:/sbin:/bin', '/bin'],
      ['added', 'label added', null, 'two\nlines'],
      ['added', 'stop signal', null, 'SIGQUIT'],
      ['added', 'user', null, 'nobody'],
      ['changed', 'working dir', '/', '/srv'],
    ];
    const { settings } = await stackJson('diff', 'busybox', String(before), String(after));
    const told = settings.map((one: Record<string, unknown>) => [
      one['change'],
      one['name'],
      one['before'],
      one['after'],
    ]);
    expect(told).toEqual(changes);
    const { stdout } = await stack('diff', 'busybox', String(before), String(after));
    expect(stdout).toMatch(/^6 settings added, 2 changed$/m);
    expect(stdout).toMatch(/^ {4}SETTING +BEFORE +AFTER$/m);
    expect(stdout).toMatch(/^~ +env PATH +\/usr\/sbin:\S+ +\/bin$/m);
    expect(stdout).toMatch(/^\+ +label added +- +two\\nlines$/m);
    const packages = await stack('diff', 'busybox', String(before), String(after), '--packages');
    expect(packages.stdout).not.toContain('SETTING');
    await addNext({}, { env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'] });
  });

  it('diff compares two stacks', async () => {
    await installBusyboxStack(layout, 'other');
    const { stdout } = await stack('diff', 'busybox@rev:1', 'other');
    expect(stdout).toMatch(/^busybox@rev:1 -> other@rev:1\nthe same packages\n/);
    const json = await stackJson('diff', 'other', 'busybox@rev:1');
    expect(json).toMatchObject({ stack: 'busybox', before: { stack: 'other' }, complete: true });
    expect((await stack('rm', 'other')).status).toBe(0);
  });

  it('ls, show and doctor show when security fixes end', async () => {
    await addNext({ 'io.stackshim.eol': '2020-01-01' });
    expect((await stack('ls')).stdout).toMatch(/^busybox .* eol 2020-01-01 +static busybox/m);
    expect((await stack('show', 'busybox')).stdout).toMatch(/^end of fixes +2020-01-01$/m);
    expect((await runCli(['doctor'], { env })).stdout).toMatch(
      /^warn +stacks +no more fixes for busybox$/m,
    );
    await rollbackStack(layout, linuxSystem, { stack: busybox, now: NOW });
  });

  it('graph draws every stack', async () => {
    expect((await stack('graph', '--format', 'dot')).stdout).toMatch(
      /^digraph stacks \{\n[\s\S]*"busybox" \[label=/,
    );
    expect((await stack('graph', '--format', 'svg')).stdout).toMatch(
      /^<svg [\s\S]*>busybox <[\s\S]*<\/svg>\n$/,
    );
    const nodes = JSON.parse((await stack('graph', '--format', 'json')).stdout);
    expect(nodes).toContainEqual(expect.objectContaining({ stack: 'busybox', base: null }));
  });
});

describe('update', () => {
  it('without a name skips stacks that were not built here', async () => {
    const { status, stdout } = await stack('update', '--all', '--keep', '50');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^STACK +OUTCOME +BEFORE +NOW +REMOVED\nbusybox +skipped +(\d+) +\1\n/);
  });
});

describe('rm', () => {
  it('refuses while a task runs or is kept, then removes the stack', async () => {
    await installBusyboxStack(layout, 'doomed');
    const args = ['run', '--name', 'holds', 'doomed', '--', 'sh', '-c', 'echo ready; sleep 1000'];
    const running = startCli(args, { env });
    await running.printed('ready');
    const refused = await stack('rm', 'doomed');
    expect(refused.status).toBe(4);
    expect(refused.stderr).toContain('used by task holds [ERR_STACKSHIM_STACK_IN_USE]');
    await runCli(['kill', '--stop-timeout', '0s', 'holds'], { env });
    await running.ended;

    await runCli(['run', '--name', 'stays', '--keep', 'doomed', '--', 'true'], { env });
    expect((await stack('rm', 'doomed')).status).toBe(4);
    await runCli(['kill', 'stays'], { env });

    expect(await stackJson('rm', 'doomed')).toEqual([{ stack: 'doomed', revisions: [1] }]);
    expect((await runCli(['run', 'doomed', '--', 'true'], { env })).status).toBe(125);
    expect(existsSync(`${layout.root}/stacks/doomed/1.json`)).toBe(false);
  });

  it('finds the tasks of other run folders, even if the root folder is named by a link', async () => {
    await installBusyboxStack(layout, 'linked');
    const [link, other] = [`${layout.root}/../link`, `${layout.run}/../other-run`];
    symlinkSync(layout.root, link);
    await runCli(['run', '--name', 'far', '--keep', 'linked', '--', 'true'], { env });
    const elsewhere = { env: { ...env, STACKSHIM_ROOT: link, STACKSHIM_RUN: other } };
    const refused = await runCli(['stack', 'rm', 'linked'], elsewhere);
    expect(refused.stderr).toContain('used by task far [ERR_STACKSHIM_STACK_IN_USE]');
    expect(refused.status).toBe(4);
    await runCli(['kill', 'far'], { env });
    expect((await runCli(['stack', 'rm', 'linked'], elsewhere)).status).toBe(0);
    rmSync(link);
  });
});
