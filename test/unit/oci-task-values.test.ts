/** A task's environment, user, command and working directory. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StackshimError } from '../../src/core/errors.ts';
import { parseTaskId } from '../../src/core/ids.ts';
import { buildTaskEnv, resolveCommand, resolveWorkdir } from '../../src/oci/build-process.ts';
import { resolveUser } from '../../src/oci/resolve-user.ts';
import { buildHostsFile } from '../../src/task/task-inputs.ts';

const invalid = (field: string) =>
  expect.objectContaining({
    code: 'ERR_STACKSHIM_SPEC_INVALID',
    details: expect.objectContaining({ field }),
  });

describe('buildTaskEnv', () => {
  const base = {
    imageEnv: [],
    env: {},
    id: parseTaskId('t1'),
    hostname: 'h1',
    hasCode: false,
    hasPayload: false,
    hasConfig: false,
    hasProgress: false,
    timeoutMs: 60_000,
    memoryBytes: 4_194_304,
    tty: false,
  };
  const toRecord = (entries: readonly string[]) =>
    Object.fromEntries(entries.map((entry) => [entry.split('=')[0], entry.replace(/^[^=]*=/, '')]));
  const build = (more: object) => toRecord(buildTaskEnv({ ...base, ...more }));

  test('contains the documented variables', () => {
    expect(build({})).toEqual({
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOSTNAME: 'h1',
      TASK_ID: 't1',
      TASK_TIMEOUT: '60',
      TASK_MEMORY: '4194304',
      HOME: '/',
    });
    expect(
      build({
        hasCode: true,
        hasPayload: true,
        hasConfig: true,
        hasProgress: true,
        tty: true,
        home: '/root',
      }),
    ).toMatchObject({
      TASK_DIR: '/task',
      PAYLOAD_FILE: '/run/stackshim/payload',
      CONFIG_FILE: '/run/stackshim/config',
      TASK_PROGRESS_FILE: '/run/stackshim/progress/text',
      TERM: 'xterm',
      HOME: '/root',
    });
    expect(build({ timeoutMs: 1 })['TASK_TIMEOUT']).toBe('1');
    expect(build({ timeoutMs: 1500 })['TASK_TIMEOUT']).toBe('2');
  });

  test('lets those variables replace the image’s, and the caller’s replace both', () => {
    const imageEnv = [
      'PATH=/img',
      'TASK_ID=img',
      'PAYLOAD_FILE=/img',
      'TASK_PROGRESS_FILE=/img',
      'A=img',
      'HOME=/img',
      'A=img2',
      'HOSTNAME=i',
    ];
    expect(build({ imageEnv, home: '/root' })).toEqual({
      PATH: '/img',
      HOSTNAME: 'i',
      A: 'img2',
      HOME: '/img',
      TASK_ID: 't1',
      TASK_TIMEOUT: '60',
      TASK_MEMORY: '4194304',
    });
    expect(build({ imageEnv, env: { A: 'me', TASK_ID: 'me', PAYLOAD_FILE: '/me' } })).toMatchObject(
      {
        A: 'me',
        TASK_ID: 'me',
        PAYLOAD_FILE: '/me',
      },
    );
  });

  test('contains each name once, whatever the image contains', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (imageEnv) => {
        const entries = buildTaskEnv({ ...base, imageEnv });
        const names = entries.map((entry) => entry.slice(0, entry.indexOf('=')));
        expect(new Set(names).size).toBe(names.length);
        for (const entry of entries) expect(entry).toMatch(/^[^=\0]+=[^\0]*$/);
      }),
    );
  });
});

describe('resolveUser', () => {
  const passwd = [
    'root:x:0:0:root:/root:/bin/sh',
    '# a comment',
    'broken:x:abc:0::/:',
    'alice:x:1000:1000:Alice:/home/alice:/bin/sh',
    '2000:x:3000:3000::/odd:',
    'nohome:x:1001:1001::relative:',
    'huge:x:4294967296:1::/:',
  ].join('\n');
  const group =
    'root:x:0:root\nalice:x:1000:\nstaff:x:50:alice,bob\ndup:x:50:alice\naudio:x:29:alice\nbad:x:x:alice\n';
  const resolve = (user: string) => resolveUser(user, passwd, group);

  test.each([
    ['', { uid: 0, gid: 0, additionalGids: [], home: '/root' }],
    ['root', { uid: 0, gid: 0, additionalGids: [], home: '/root' }],
    ['alice', { uid: 1000, gid: 1000, additionalGids: [50, 29], home: '/home/alice' }],
    ['1000', { uid: 1000, gid: 1000, additionalGids: [50, 29], home: '/home/alice' }],
    ['alice:staff', { uid: 1000, gid: 50, additionalGids: [], home: '/home/alice' }],
    ['alice:7', { uid: 1000, gid: 7, additionalGids: [], home: '/home/alice' }],
    ['4242', { uid: 4242, gid: 0, additionalGids: [] }],
    ['4242:4343', { uid: 4242, gid: 4343, additionalGids: [] }],
    ['2000', { uid: 3000, gid: 3000, additionalGids: [], home: '/odd' }],
    ['nohome', { uid: 1001, gid: 1001, additionalGids: [], home: '/' }],
    [':50', { uid: 0, gid: 50, additionalGids: [], home: '/root' }],
  ])('resolves %j', (user, resolved) => {
    expect(resolve(user)).toEqual(resolved);
  });

  test.each([
    'bob',
    'broken',
    'huge',
    'alice:nogroup',
    'alice:bad',
    '2147483648',
    '0:2147483648',
    'a:b:c',
    '-1',
  ])('refuses %j', (user) => {
    expect(() => resolve(user)).toThrow(invalid('user'));
  });

  test('needs files for names, not for numbers', () => {
    expect(resolveUser('5:6', '', '')).toEqual({ uid: 5, gid: 6, additionalGids: [] });
    expect(resolveUser('', '', '')).toEqual({ uid: 0, gid: 0, additionalGids: [] });
    expect(() => resolveUser('root', '', '')).toThrow(invalid('user'));
  });

  test('limits the size of files and the number of groups', () => {
    expect(() => resolveUser('root', 'x'.repeat(1_048_577), '')).toThrow(invalid('user'));
    const many = Array.from({ length: 300 }, (_, i) => `g${i}:x:${i + 5000}:alice`).join('\n');
    expect(resolveUser('alice', passwd, many).additionalGids).toHaveLength(256);
  });

  test('quotes only the beginning of a long name', () => {
    const value = 'x'.repeat(200);
    expect(() => resolveUser('x'.repeat(60_000), '', '')).toThrow(
      expect.objectContaining({
        message: `user "${value}": the image has no user of this name`,
        details: { field: 'user', value },
      }),
    );
  });

  test('returns valid ids, whatever the files contain', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (user, passwdText, groupText) => {
        try {
          const { uid, gid, additionalGids } = resolveUser(user, passwdText, groupText);
          for (const id of [uid, gid, ...additionalGids]) {
            expect(Number.isInteger(id) && id >= 0 && id <= 2_147_483_647).toBe(true);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(StackshimError);
        }
      }),
    );
  });
});

describe('resolveCommand and resolveWorkdir', () => {
  test('combine entrypoint and command as docker does', () => {
    const image = { entrypoint: ['/init'], cmd: ['serve'] };
    const of = (...command: string[]) => ({ command });
    expect(resolveCommand(image, of())).toEqual(['/init', 'serve']);
    expect(resolveCommand(image, of('a'))).toEqual(['/init', 'a']);
    expect(resolveCommand({ entrypoint: [], cmd: [] }, of('a'))).toEqual(['a']);
    expect(resolveCommand({ entrypoint: [], cmd: ['sh'] }, of())).toEqual(['sh']);
    expect(() => resolveCommand({ entrypoint: [], cmd: [] }, of())).toThrow(invalid('command'));
  });

  test('replace the image’s entrypoint and command with the task’s entrypoint, as docker does', () => {
    const image = { entrypoint: ['/init'], cmd: ['serve'] };
    const at = (entrypoint: readonly string[], ...command: string[]) =>
      resolveCommand(image, { entrypoint, command });
    expect(at(['/bin/echo'], 'a')).toEqual(['/bin/echo', 'a']);
    expect(at(['/bin/echo'])).toEqual(['/bin/echo']);
    expect(at([], 'a')).toEqual(['a']);
    expect(() => at([])).toThrow(invalid('command'));
  });

  test('use the task’s directory, then the code’s, then the image’s', () => {
    const image = { workingDir: '/app/' };
    expect(resolveWorkdir('/x', true, image)).toBe('/x');
    expect(resolveWorkdir(undefined, true, image)).toBe('/task');
    expect(resolveWorkdir(undefined, false, image)).toBe('/app');
    expect(resolveWorkdir(undefined, false, { workingDir: '' })).toBe('/');
    expect(resolveWorkdir(undefined, false, { workingDir: 'rel/../x' })).toBe('/x');
  });
});

test('the hosts file contains localhost and the task’s own name', () => {
  expect(buildHostsFile('box').split('\n')).toEqual([
    '127.0.0.1 localhost',
    '::1 localhost ip6-localhost ip6-loopback',
    '127.0.1.1 box',
    '',
  ]);
});
