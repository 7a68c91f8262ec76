/** The owner of files that tasks write into binds: one user of the host, whatever slot a task has. Requires: root. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_BIND_OWNER_ID, FIRST_SLOT_ID } from '../../src/core/host-ids.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { runtimesUnderTest } from '../support/runtimes/runtime-lab.ts';

const { run, start, folder, setPolicy } = useTaskRunner();
const runtimes = [
  ...runtimesUnderTest(folder),
  { name: 'runsc', kind: 'runsc', path: 'runsc' } as const,
];
const source = join(folder, 'source');
const OWNER = 4321;
const ownerOf = (name: string) => {
  const { uid, gid } = statSync(join(source, name));
  return [uid, gid];
};

beforeEach(() => {
  setPolicy({ allow: { runtimes: ['runc', ...runtimes.map(({ path }) => path)] } });
  mkdirSync(source);
});
afterEach(() => rmSync(source, { recursive: true }));

describe.each(runtimes)('with $name', ({ path }) => {
  it.each([
    ['-u', 'root'],
    ['-u', 'user'],
    ['-u', '4242:4343'],
    ['--read-only', '--init'],
  ])('files that a task writes belong to the owner of the source: %s %s', async (...options) => {
    chownSync(source, OWNER, OWNER + 1);
    writeFileSync(join(source, 'in'), 'in\n', { mode: 0o600 });
    chownSync(join(source, 'in'), OWNER, OWNER + 1);
    const script = `cat /data/in && mkdir /data/made && echo out > /data/made/out && ln -s x /data/link
        mv /data/made/out /data/out && chmod 4711 /data/out && echo more >> /data/in`;
    const given = ['--runtime', path, '-v', `${source}:/data`, ...options];
    const { stdout, stderr, record } = await run(given, sh(script));
    expect({ stdout, stderr }).toEqual({ stdout: 'in\n', stderr: '' });
    expect(record).toMatchObject({ ...CLEAN, exitCode: 0 });
    for (const name of ['made', 'out', 'in']) expect(ownerOf(name)).toEqual([OWNER, OWNER + 1]);
    expect(readFileSync(join(source, 'in'), 'utf8')).toBe('in\nmore\n');
  });
});

describe('a source that belongs to root', () => {
  beforeEach(() => chmodSync(source, 0o777));
  const bind = ['-v', `${source}:/data`];

  it('gets files of an unused id', async () => {
    expect(await run(bind, sh('echo x > /data/out'))).toMatchObject({ status: 0, stderr: '' });
    expect(ownerOf('out')).toEqual([DEFAULT_BIND_OWNER_ID, DEFAULT_BIND_OWNER_ID]);
  });

  it('gets files of the owner that the policy names', async () => {
    setPolicy({ binds: { owner: 65_000 } });
    expect(await run(bind, sh('echo x > /data/out'))).toMatchObject({ status: 0, stderr: '' });
    expect(ownerOf('out')).toEqual([65_000, 65_000]);
  });

  it('gets files that every slot can write', async () => {
    const first = start(bind, sh('umask 077; echo one > /data/out; echo ready; exec sleep 3600'));
    await first.printed('ready');
    const second = await run(bind, sh('echo two >> /data/out; cat /data/out'));
    expect(second).toMatchObject({ status: 0, stdout: 'one\ntwo\n', stderr: '' });
    first.child.kill('SIGTERM');
    expect((await first.ended).record).toMatchObject(CLEAN);
  });

  it('does not give the task access to files of root or of other users in it', async () => {
    for (const [name, id] of [
      ['root', 0],
      ['other', 1234],
    ] as const) {
      writeFileSync(join(source, name), 'kept\n', { mode: 0o600 });
      chownSync(join(source, name), id, id);
    }
    const script =
      'for name in root other; do cat /data/$name; echo x > /data/$name; chmod 777 /data/$name; done';
    const { stdout } = await run(bind, sh(script));
    expect(stdout).toBe('');
    for (const name of ['root', 'other'])
      expect(readFileSync(join(source, name), 'utf8')).toBe('kept\n');
  });

  it('accepts files of no other user than the command’s', async () => {
    const script =
      "echo x > /data/out; chown 5:5 /data/out; su -s /bin/sh user -c 'touch /data/of-user'; ls /data";
    const { stdout } = await run(bind, sh(script));
    expect(stdout).toBe('out\n');
    expect(ownerOf('out')).toEqual([DEFAULT_BIND_OWNER_ID, DEFAULT_BIND_OWNER_ID]);
  });

  it('gets files of root with --userns host', async () => {
    expect(await run([...bind, '--userns', 'host'], sh('echo x > /data/out'))).toMatchObject({
      status: 0,
    });
    expect(ownerOf('out')).toEqual([0, 0]);
  });
});

it('each bind of a task gets the owner of its own source', async () => {
  for (const [name, id] of [
    ['a', OWNER],
    ['b', OWNER + 5],
  ] as const) {
    mkdirSync(join(source, name));
    chownSync(join(source, name), id, id);
  }
  const binds = ['a', 'b'].flatMap((name) => ['-v', `${source}/${name}:/${name}`]);
  const { status, stderr } = await run(binds, sh('echo x > /a/out; echo x > /b/out'));
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(ownerOf('a/out')).toEqual([OWNER, OWNER]);
  expect(ownerOf('b/out')).toEqual([OWNER + 5, OWNER + 5]);
});

it('a file can be the source of a bind', async () => {
  const file = join(source, 'file');
  writeFileSync(file, 'one\n', { mode: 0o600 });
  chownSync(file, OWNER, OWNER);
  const { stdout } = await run(['-v', `${file}:/file`], sh('echo two >> /file; cat /file'));
  expect(stdout).toBe('one\ntwo\n');
});

describe('a source that cannot be mapped', () => {
  const refused = {
    verdict: 'setup_failed',
    error: { code: 'ERR_STACKSHIM_SPEC_INVALID', details: { field: 'mounts' } },
  };

  it('because of its filesystem is refused writable, and accepted read-only', async () => {
    for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(join(source, name));
    const options = ['lower', 'upper', 'work']
      .map((name) => `${name}dir=${source}/${name}`)
      .join(',');
    const merged = join(source, 'merged');
    execFileSync('mount', ['-t', 'overlay', '-o', options, 'overlay', merged]);
    try {
      const { record } = await run(['-v', `${merged}:/data`], ['true']);
      expect(record).toMatchObject({ ...CLEAN, ...refused, retryable: false });
      expect(record?.error?.hint).toContain(':ro');
      // Including what is mounted below it.
      expect((await run(['-v', `${source}:/data`], ['true'])).record).toMatchObject({
        ...CLEAN,
        ...refused,
      });
      expect(await run(['-v', `${merged}:/data:ro`], ['ls', '/data'])).toMatchObject({ status: 0 });
    } finally {
      execFileSync('umount', [merged]);
    }
  });

  it('because its owner is an id of tasks is refused', async () => {
    chownSync(source, FIRST_SLOT_ID + 7, 0);
    const { record } = await run(['-v', `${source}:/data`], ['true']);
    expect(record).toMatchObject({ ...CLEAN, ...refused });
    expect(record?.error?.hint).toContain(
      `chown -R ${DEFAULT_BIND_OWNER_ID}:${DEFAULT_BIND_OWNER_ID}`,
    );
  });
});
