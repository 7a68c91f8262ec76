/** `--output`: what is taken out of an ended task, where it goes, and what the result and the exit status tell. Requires: root, tar. */
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TakenOutput } from '../../src/task/outputs/output-report.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, type TaskRun, useTaskRunner } from '../support/cli/task-runner.ts';
import { STRANGER_ID } from '../support/programs/stranger.ts';

const { run, start, folder, setPolicy, installation } = useTaskRunner();

const { env } = installation;
const newFolder = () => mkdtempSync(join(folder, 'out-'));
const only = ({ record }: TaskRun): TakenOutput | undefined => record?.outputs?.[0];
const contentOf = (path: string) => readFileSync(path, 'utf8');
const MAKE_TREE = 'mkdir -p /out/deep; echo one > /out/one; echo two > /out/deep/two';

describe('what is taken', () => {
  it('a folder with everything in it; files keep their mode and time, and belong to root', async () => {
    const to = newFolder();
    const script = `${MAKE_TREE}; chmod 640 /out/one; touch -d @1000000000 /out/one; ln -s nowhere /out/link`;
    const ended = await run(['--output', `/out:${to}`], sh(script));
    expect(ended).toMatchObject({ status: 0, stdout: '', stderr: '', record: CLEAN });
    const { mode, uid, gid, mtimeMs } = statSync(`${to}/out/one`);
    expect([mode & 0o7777, uid, gid, mtimeMs]).toEqual([0o640, 0, 0, 1e12]);
    expect(contentOf(`${to}/out/deep/two`)).toBe('two\n');
    expect(readlinkSync(`${to}/out/link`)).toBe('nowhere');
    expect(only(ended)).toEqual({
      source: '/out',
      destination: to,
      state: 'complete',
      ...{ files: 2, folders: 2, links: 1, bytes: 8 },
      taken: [{ path: '/out', kind: 'folder' }],
      ...{ leftOut: [], leftOutCount: 0, error: null },
    });
  });

  it('a file under a new name, and the content of a folder', async () => {
    const to = newFolder();
    const options = ['--output', `/out/one:${to}/first`, '--output', `/out/.:${to}/all`];
    expect(await run(options, sh(MAKE_TREE))).toMatchObject({ status: 0 });
    expect(contentOf(`${to}/first`)).toBe('one\n');
    expect(readdirSync(`${to}/all`).sort()).toEqual(['deep', 'one']);
  });

  it('what matches a pattern, into the working directory', async () => {
    const to = newFolder();
    const script = 'cd /out; touch a.log b.log .hidden.log a.txt; mkdir c.log';
    const ended = await run(['--output', '/o?t/[ab]*.log'], sh(`mkdir /out; ${script}`), {
      cwd: to,
    });
    expect(readdirSync(to).sort()).toEqual(['a.log', 'b.log']);
    expect(only(ended)?.taken.map(({ path }) => path)).toEqual(['/out/a.log', '/out/b.log']);
  });

  it('files of a folder /task that a task without code makes itself', async () => {
    const to = newFolder();
    const options = ['--payload', 'of the payload', '--output', `/task/made:${to}/`];
    const ended = await run(options, sh('mkdir /task; echo text > /task/made'));
    expect(ended).toMatchObject({ status: 0, record: CLEAN });
    expect(contentOf(`${to}/made`)).toBe('text\n');
  });

  it('changes of the code, relative to the working directory of the task', async () => {
    const [code, to] = [newFolder(), newFolder()];
    writeFileSync(join(code, 'given'), 'given\n');
    const options = ['--code', code, '--output', `made:${to}`, '--output', `/task:${to}/all`];
    const ended = await run(options, sh('echo made > made; echo more >> given'));
    expect(ended).toMatchObject({ status: 0, record: CLEAN });
    expect(contentOf(`${to}/made`)).toBe('made\n');
    expect(contentOf(`${to}/all/given`)).toBe('given\nmore\n');
    expect(existsSync(`${code}/made`)).toBe(false);
  });

  it('files of the image, and of a task that failed, timed out or was kept', async () => {
    const to = newFolder();
    const failed = await run(['--output', `/bin/sh:${to}/sh`], sh('exit 3'));
    expect([failed.status, only(failed)?.state]).toEqual([3, 'complete']);
    const late = await run(
      ['--timeout', '1s', '--stop-timeout', '0', '--output', `/left:${to}`],
      sh('echo left > /left; sleep 60'),
    );
    expect([late.status, contentOf(`${to}/left`)]).toEqual([124, 'left\n']);
  });

  it('one tar stream, with the ids of the task; its output goes to standard error', async () => {
    const script = `echo said; ${MAKE_TREE}; chown 1000:50 /out/one; truncate -s 1073741824 /out/sparse`;
    const options = ['--output', '/out:-', '--output', '/etc/group:-'];
    const { status, stdoutBytes, stderr } = await run(options, sh(script));
    expect([status, stderr]).toEqual([0, 'said\n']);
    expect(stdoutBytes.length).toBeLessThan(64 * 1024);
    const listed = execFileSync('tar', ['-tvf', '-', '--numeric-owner'], { input: stdoutBytes });
    const lines = listed
      .toString()
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/));
    expect(lines.map(([, owner, size, , , path]) => [path, owner, size])).toEqual(
      expect.arrayContaining([
        ['out/', '0/0', '0'],
        ['out/one', '1000/50', '4'],
        ['out/sparse', '0/0', String(2 ** 30)],
        ['group', '0/0', expect.anything()],
      ]),
    );
    const to = newFolder();
    execFileSync('tar', ['-xf', '-', '-C', to], { input: stdoutBytes });
    expect(statSync(`${to}/out/sparse`)).toMatchObject({ size: 2 ** 30, blocks: 0 });
  });

  it('sparse files with their holes, hard links once', async () => {
    const to = newFolder();
    const script = [
      'mkdir /out; truncate -s 4294967296 /out/sparse',
      'printf end | dd of=/out/sparse bs=1 seek=3000000000 conv=notrunc',
      'head -c 1000000 /dev/zero > /out/a; ln /out/a /out/b',
    ].join('; ');
    const ended = await run(['--output', `/out:${to}`, '--output-max-size', '1100k'], sh(script));
    expect(only(ended)).toMatchObject({ state: 'complete', files: 3 });
    const sparse = statSync(`${to}/out/sparse`);
    expect([sparse.size, sparse.blocks < 100]).toEqual([4 * 2 ** 30, true]);
    expect(statSync(`${to}/out/a`).ino).toBe(statSync(`${to}/out/b`).ino);
  });

  it('for the owner of the destination', async () => {
    const to = newFolder();
    chownSync(to, STRANGER_ID, STRANGER_ID);
    await run(['--output', `/out:${to}`], sh(MAKE_TREE));
    for (const path of ['out', 'out/one', 'out/deep/two']) {
      expect(statSync(`${to}/${path}`)).toMatchObject({ uid: STRANGER_ID, gid: STRANGER_ID });
    }
  });

  it('into a folder that exists: files are replaced, the rest stays', async () => {
    const to = newFolder();
    mkdirSync(`${to}/out/deep`, { recursive: true });
    writeFileSync(`${to}/out/deep/two`, 'old');
    writeFileSync(`${to}/out/other`, 'other');
    await run(['--output', `/out:${to}`], sh(MAKE_TREE));
    expect(contentOf(`${to}/out/deep/two`)).toBe('two\n');
    expect(contentOf(`${to}/out/other`)).toBe('other');
  });
});

describe('what is left out', () => {
  it('special files, setuid bits, a second source of the same name', async () => {
    const to = newFolder();
    const script = `${MAKE_TREE}; mkfifo /out/fifo; chmod 4755 /out/one; mkdir /b; touch /b/out`;
    const options = ['--output', `/out:${to}`, '--output', `/b/out:${to}`];
    const ended = await run(options, sh(script));
    expect(ended.status).toBe(0);
    expect(ended.stderr).toContain('left out /out/fifo (a FIFO)');
    expect(ended.record?.outputs).toMatchObject([
      { state: 'partial', leftOut: [{ path: '/out/fifo', reason: 'fifo' }] },
      { state: 'partial', leftOut: [{ path: '/b/out', reason: 'destination_exists' }] },
    ]);
    expect(statSync(`${to}/out/one`).mode & 0o7777).toBe(0o755);
  });

  it('what passes the limits of the task or of the policy', async () => {
    const to = newFolder();
    const script = 'mkdir /out; head -c 3000 /dev/zero > /out/large; echo small > /out/small';
    const ended = await run(['--output', `/out:${to}`, '--output-max-size', '2k'], sh(script));
    expect(only(ended)).toMatchObject({
      ...{ state: 'partial', files: 1, bytes: 6 },
      leftOut: [{ path: '/out/large', reason: 'size_limit' }],
    });
    setPolicy({ maxima: { outputEntries: 2 } });
    try {
      const many = sh('mkdir /out; touch /out/a /out/b /out/c');
      expect(only(await run(['--output', `/out:${to}/few`], many))).toMatchObject({
        ...{ state: 'partial', files: 1, folders: 1, leftOutCount: 1 },
        leftOut: [{ reason: 'entries_limit' }],
      });
      const asked = await run(['--output', `/out:${to}`, '--output-max-entries', '3'], many);
      expect([asked.status, asked.stderr]).toEqual([
        125,
        expect.stringContaining("--output-max-entries 3: above the policy's maximum of 2"),
      ]);
    } finally {
      setPolicy(null);
    }
  });

  it('what is not there: told, and an error only if it is required', async () => {
    const to = newFolder();
    const missing = await run(['--output', `/nothing:${to}`], ['true']);
    expect([missing.status, only(missing)?.state]).toEqual([0, 'missing']);
    expect(missing.stderr).toBe('stackshim: take /nothing: the task has no such file\n');
    const required = await run(['--output', `/nothing:${to}`, '--output-required'], ['true']);
    expect(required).toMatchObject({
      status: 125,
      record: {
        ...{ verdict: 'succeeded', exitCode: 0 },
        error: { code: 'ERR_STACKSHIM_OUTPUT_INCOMPLETE', details: { source: '/nothing' } },
      },
    });
    const failed = await run(['--output', `/nothing:${to}`, '--output-required'], ['false']);
    expect(failed.status).toBe(1);
  });

  it('names of any bytes are taken, and shown as text', async () => {
    const to = newFolder();
    const script = `mkdir /out; touch "/out/$(printf 'a\\n\\377x')"; mkfifo "/out/$(printf '\\376')"`;
    const ended = await run(['--output', `/out:${to}`], sh(script));
    expect(only(ended)).toMatchObject({ files: 1, leftOut: [{ path: '/out/\\xfe' }] });
    const [name] = readdirSync(`${to}/out`, { encoding: 'buffer' });
    expect(name?.toString('latin1')).toBe('a\n\xffx');
  });

  it('very long paths leave a result that can be stored and read', async () => {
    const to = newFolder();
    const name = String.raw`n=$(printf '%0200d' 0 | tr 0 '\377')`;
    const deep = 'for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do mkdir $n; cd $n; done';
    const script = `${name}; mkdir /out; cd /out; ${deep}; seq 1500 | xargs -n 1 mkfifo`;
    const ended = await run(['--name', 'long', '--log', '--output', `/out:${to}`], sh(script));
    expect(only(ended)).toMatchObject({ state: 'partial', leftOutCount: 1500 });
    expect(JSON.stringify(only(ended)).length).toBeLessThan(2_000_000);
    expect(await runCli(['wait', 'long'], { env })).toMatchObject({ status: 0, stdout: '0\n' });
    await runCli(['rm', 'long'], { env });
  });
});

describe('destinations', () => {
  const REFUSED = 125;
  const refused = async (output: string, more: readonly string[] = []) => {
    const ended = await run(['--output', output, ...more], ['true']);
    expect(ended.record).toBeUndefined();
    expect(ended.status).toBe(REFUSED);
    return ended.stderr;
  };

  it('must be there, and must not be a link of others or something else', async () => {
    const to = newFolder();
    const open = newFolder();
    chownSync(open, STRANGER_ID, STRANGER_ID);
    symlinkSync(to, `${open}/link`);
    execFileSync('mkfifo', [`${to}/fifo`]);
    writeFileSync(`${to}/file`, '');
    for (const path of [
      `${to}/no/such`,
      `${open}/link`,
      `${to}/fifo`,
      `${to}/file/x`,
      `${to}/file/`,
      '/proc/1/root',
    ]) {
      expect(await refused(`/etc/hostname:${path}`)).toContain('[ERR_STACKSHIM_INPUT_NOT_FOUND]');
    }
  });

  it('must not be where the task can write', async () => {
    const to = newFolder();
    mkdirSync(`${to}/inner`);
    const stderr = await refused(`/etc/hostname:${to}/inner`, ['-v', `${to}:/data`]);
    expect(stderr).toContain(`the task can write to ${to} [ERR_STACKSHIM_SPEC_INVALID]`);
  });

  it('must be allowed by the policy', async () => {
    setPolicy({ allow: { outputs: ['/srv'] } });
    try {
      const stderr = await refused(`/etc/hostname:${newFolder()}`);
      expect(stderr).toContain("the policy's allow.outputs allows only /srv");
    } finally {
      setPolicy(null);
    }
  });

  it('sources that name no files of the task are refused', async () => {
    const to = newFolder();
    for (const source of ['/a/../b', '..', '/proc/1', '/dev/shm/x', '/t/x', '']) {
      const stderr = await refused(`${source}:${to}`, ['--tmpfs', '/t']);
      expect(stderr).toContain('[ERR_STACKSHIM_SPEC_INVALID]');
    }
  });

  it('a tar to standard output is refused where something else goes there', async () => {
    expect(await refused('/etc/hostname:-', ['--json'])).toContain('--json writes there');
  });

  it('the way to a link in the place of a file is not followed', async () => {
    const to = newFolder();
    writeFileSync(`${to}/victim`, 'kept');
    mkdirSync(`${to}/out`);
    symlinkSync('../victim', `${to}/out/one`);
    symlinkSync('..', `${to}/out/deep`);
    const ended = await run(['--output', `/out:${to}`], sh(MAKE_TREE));
    expect(only(ended)).toMatchObject({ state: 'partial', leftOutCount: 2 });
    expect(contentOf(`${to}/victim`)).toBe('kept');
    expect(existsSync(`${to}/two`)).toBe(false);
  });

  it('that are full fail the output, and say so', async () => {
    const to = newFolder();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', to]);
    try {
      const script = 'mkdir /out; head -c 1000000 /dev/zero > /out/large';
      const ended = await run(['--output', `/out:${to}`], sh(script));
      expect(ended.status).toBe(125);
      expect(ended.record).toMatchObject({
        ...{ verdict: 'succeeded', retryable: true },
        error: { code: 'ERR_STACKSHIM_OUTPUT_FAILED' },
        outputs: [{ state: 'failed', error: { code: 'ERR_STACKSHIM_OUTPUT_FAILED' } }],
      });
      expect(existsSync(`${to}/out/large`)).toBe(false);
    } finally {
      execFileSync('umount', [to]);
    }
  });

  it('a reader of the tar that has gone ends the task as one of its output does', async () => {
    const script = 'mkdir /out; head -c 3000000 /dev/urandom > /out/large';
    const started = start(['--output', '/out:-'], sh(script));
    started.child.stdout?.destroy();
    const { status } = await started.ended;
    expect(status).not.toBe(0);
    expect(lstatSync(installation.layout.root).isDirectory()).toBe(true);
  });
});
