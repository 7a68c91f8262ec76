/** `stackshim cp`: files between the host and running or kept tasks. Requires: root, tar. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { runCli, STACKSHIM } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { findByArguments } from '../support/host/look-at-processes.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { run, start, folder, setPolicy, installation } = useTaskRunner();
const { env } = installation;

const newFolder = () => mkdtempSync(join(folder, 'copied-'));
const contentOf = (path: string) => readFileSync(path, 'utf8');
const cp = (from: string, to: string, input?: Uint8Array) =>
  runCli(['cp', from, to], { env, ...(input === undefined ? {} : { input }) });
const DONE = { status: 0, stdout: '', stderr: '' };

const kill = (id: string) => runCli(['kill', '--stop-timeout', '0', id], { env });

const begun: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of begun.splice(0)) await end();
});

/** Runs until the test is over, or until a file `/end` is in it. */
async function startTask(id: string, script: string, options: readonly string[] = []) {
  const loop = `${script}; echo ready; while ! [ -e /end ]; do sleep 0.1; done; cat /end`;
  const started = start(['--name', id, ...options], sh(loop));
  begun.push(async () => {
    await kill(id);
    await started.ended;
  });
  await started.printed('ready');
  return started;
}

async function keepTask(id: string, script: string, options: readonly string[] = []) {
  begun.push(async () => {
    await kill(id);
  });
  expect((await run(['--name', id, '--keep', ...options], sh(script))).status).toBe(0);
}

const MAKE_TREE = 'mkdir -p /out/deep; echo one > /out/one; echo two > /out/deep/two';

describe.each(['running', 'kept'] as const)('a %s task', (state) => {
  const prepare = (id: string, script: string, options: readonly string[] = []) =>
    state === 'running' ? startTask(id, script, options) : keepTask(id, script, options);

  it('gives files and folders as docker cp does', async () => {
    await prepare('giver', `${MAKE_TREE}; chmod 4600 /out/one`);
    const to = newFolder();
    expect(await cp('giver:/out', to)).toMatchObject(DONE);
    expect(contentOf(`${to}/out/deep/two`)).toBe('two\n');
    expect(statSync(`${to}/out/one`)).toMatchObject({ uid: 0, gid: 0, mode: 0o100600 });
    expect(await cp('giver:/out', `${to}/new`)).toMatchObject(DONE);
    expect(readdirSync(`${to}/new`).sort()).toEqual(['deep', 'one']);
    expect(await cp('giver:out/.', `${to}/new/deep`)).toMatchObject(DONE);
    expect(contentOf(`${to}/new/deep/one`)).toBe('one\n');
    expect(await cp('giver:/out/one', `${to}/new/one`)).toMatchObject(DONE);
    const { stdoutBytes } = await cp('giver:/out', '-');
    const listed = execFileSync('tar', ['-t'], { input: stdoutBytes }).toString();
    expect(listed.trim().split('\n').sort()).toEqual([
      'out/',
      'out/deep/',
      'out/deep/two',
      'out/one',
    ]);
  });

  it('gives what is at /task, and files of its image', async () => {
    const [code, to] = [newFolder(), newFolder()];
    writeFileSync(join(code, 'given'), 'given\n');
    await prepare('coder', 'echo made > /task/made', ['--code', code]);
    expect(await cp('coder:/task', to)).toMatchObject(DONE);
    expect(readdirSync(`${to}/task`).sort()).toEqual(['given', 'made']);
    expect(await cp('coder:/bin/busybox', `${to}/busybox`)).toMatchObject(DONE);
    expect(statSync(`${to}/busybox`).size).toBeGreaterThan(100_000);
  });

  it('takes files and folders, which belong to its root', async () => {
    const from = newFolder();
    mkdirSync(`${from}/in/deep`, { recursive: true });
    writeFileSync(`${from}/in/deep/file`, 'new\n', { mode: 0o640 });
    symlinkSync('deep/file', `${from}/in/link`);
    await prepare('taker', 'mkdir -p /data; echo old > /data/file; chown 1000 /data/file');
    expect(await cp(`${from}/in`, 'taker:/data')).toMatchObject(DONE);
    expect(await cp(`${from}/in/deep/file`, 'taker:/data/file')).toMatchObject(DONE);
    const tar = execFileSync('tar', ['-c', '-C', from, 'in']);
    expect(await cp('-', 'taker:/etc', tar)).toMatchObject(DONE);
    const to = newFolder();
    await cp('taker:/data', to);
    expect(contentOf(`${to}/data/in/link`)).toBe('new\n');
    expect(contentOf(`${to}/data/file`)).toBe('new\n');
    const { stdoutBytes } = await cp('taker:/etc/in/deep', '-');
    const listed = execFileSync('tar', ['-tv', '--numeric-owner'], { input: stdoutBytes });
    expect(listed.toString()).toMatch(/^drwxr-xr-x 0\/0 .*\n-rw-r----- 0\/0 /);
  });
});

describe('a running task', () => {
  it('sees what it got', async () => {
    const from = newFolder();
    writeFileSync(`${from}/end`, 'over\n');
    const started = await startTask('seer', 'true');
    expect(await cp(`${from}/end`, 'seer:/')).toMatchObject(DONE);
    expect((await started.ended).stdout).toBe('ready\nover\n');
  });

  it('refuses what it may not have: a read-only root, a tmpfs, a place that is not there', async () => {
    const from = newFolder();
    writeFileSync(`${from}/file`, '');
    await startTask('closed', 'true', ['--read-only', '--tmpfs', '/t']);
    for (const [path, code] of [
      ['/file', 'ERR_STACKSHIM_OUTPUT_FAILED'],
      ['/t/file', 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
      ['/no/such', 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
      ['/dev/null/x', 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    ] as const) {
      expect((await cp(`${from}/file`, `closed:${path}`)).stderr).toContain(`[${code}]`);
    }
  });

  it('cannot lead a copy out of itself by links', async () => {
    const [from, victim] = [newFolder(), newFolder()];
    writeFileSync(`${from}/file`, 'new\n');
    await startTask(
      'leader',
      `mkdir -p ${victim}; ln -s ${victim} /link; ln -s /proc/1/root /root-link`,
    );
    expect(await cp(`${from}/file`, 'leader:/link/file')).toMatchObject(DONE);
    expect(readdirSync(victim)).toEqual([]);
    const to = newFolder();
    expect(await cp(`leader:${victim}/file`, `${to}/file`)).toMatchObject(DONE);
    expect((await cp('leader:/root-link/etc', to)).status).toBe(3);
  });

  it('cannot lead a copy out of itself by what it puts in the place of files meanwhile', async () => {
    const [from, victim] = [newFolder(), newFolder()];
    writeFileSync(`${victim}/file`, 'secret');
    writeFileSync(`${from}/file`, 'changed');
    const swap = [
      'mkdir /way; echo own > /way/file; mv /way /kept; ln -s /kept /way; rm /way',
      `ln -s ${victim} /way; rm /way; mkfifo /way; rm /way; mv /kept /way; rm -r /way`,
    ].join('; ');
    await startTask('swapper', `(while :; do ${swap}; done) > /dev/null 2>&1 & true`);
    const to = newFolder();
    for (let round = 0; round < 15; round += 1) {
      await cp('swapper:/way', `${to}/${round}`);
      await cp('swapper:/way/file', `${to}/file-${round}`);
      await cp(`${from}/file`, 'swapper:/way/file');
      await cp(from, 'swapper:/way');
    }
    const found = execFileSync('find', [to, '-type', 'f', '-exec', 'cat', '{}', '+']).toString();
    expect(found).not.toContain('secret');
    expect(contentOf(`${victim}/file`)).toBe('secret');
    expect(readdirSync(victim)).toEqual(['file']);
  });

  it('special files are left out, and said', async () => {
    await startTask('special', `${MAKE_TREE}; mkfifo /out/fifo`);
    const to = newFolder();
    const { status, stderr } = await cp('special:/out', to);
    expect([status, stderr]).toEqual([1, 'stackshim: copy /out: left out /out/fifo (a FIFO)\n']);
    expect(existsSync(`${to}/out/one`)).toBe(true);
  });

  it('that serves its own filesystem for its files holds nobody up', async () => {
    setPolicy({ allow: { bundles: ['default', 'fuse'] } });
    try {
      await startTask('server', 'mkdir /m; mount -t tmpfs none /m; touch /m/inside', [
        '--bundle',
        'fuse',
      ]);
      const to = newFolder();
      const { stderr, status } = await cp('server:/m', to);
      expect([status, stderr]).toEqual([1, expect.stringContaining('(a mount)')]);
    } finally {
      setPolicy(null);
    }
  });
});

describe('a copy that ends early', () => {
  it('lets go of a task that ends, although nobody reads its tar', async () => {
    const make = 'dd if=/dev/zero of=/large bs=1M count=40 2>/dev/null';
    await startTask('leaving', make, ['--disk', '64m']);
    const pipe = join(folder, 'never-read');
    execFileSync('mkfifo', [pipe]);
    // Opened for both, so that the writer need not wait for a reader.
    const reader = openSync(pipe, 'r+');
    const script = `'${STACKSHIM}' cp leaving:/large - > '${pipe}'`;
    const copying = runCli([], { env, through: ['sh', '-c', script] });
    const bytes = Buffer.alloc(1);
    expect(readSync(reader, bytes)).toBe(1);
    expect((await kill('leaving')).status).toBe(0);
    const isCopier = (args: readonly string[]) =>
      args.includes('copy-process') && args.some((arg) => arg.includes('leaving'));
    await waitUntil(() => findByArguments(isCopier).length === 0);
    closeSync(reader);
    const { status } = await copying;
    expect(status).not.toBe(0);
  });

  it('leaves no mount of a kept task when the reader of its tar has gone', async () => {
    await keepTask('gone', 'dd if=/dev/zero of=/large bs=1M count=40 2>/dev/null');
    const script = `'${STACKSHIM}' cp gone:/large - | head -c 10 | wc -c`;
    const printed = execFileSync('sh', ['-c', script], { env: { ...process.env, ...env } });
    expect(printed.toString()).toBe('10\n');
    const mounts = contentOf('/proc/self/mounts').split('\n');
    expect(mounts.filter((line) => line.includes('/tasks/gone/'))).toEqual([]);
  });
});

describe('bad input', () => {
  it('unknown tasks, tasks that end, paths that are not there, two tasks or none', async () => {
    const to = newFolder();
    await startTask('one', 'true');
    const cases = [
      ['unknown:/x', to, 3, 'ERR_STACKSHIM_TASK_NOT_FOUND'],
      ['one:/nothing', to, 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
      ['one:/etc/hostname', `${to}/no/such`, 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
      ['one:/etc/hostname', `${to}/new/`, 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
      [`${to}/nothing`, 'one:/', 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
      ['one:/etc', 'one:/x', 2, 'ERR_STACKSHIM_SPEC_INVALID'],
      [to, to, 2, 'ERR_STACKSHIM_SPEC_INVALID'],
      ['-', 'one:/nothing', 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    ] as const;
    for (const [from, into, status, code] of cases) {
      const ended = await cp(from, into);
      expect([from, ended.status, ended.stderr]).toEqual([
        from,
        status,
        expect.stringContaining(`[${code}]`),
      ]);
    }
    expect((await cp('-', 'one:/', Buffer.from('no tar'.repeat(200)))).status).toBe(2);
  });
});
