/** Binds, tmpfs and the paths they may have. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseMounts, parseTmpfsOption, parseVolumeOption } from '../../src/spec/parse-mounts.ts';
import { isAtOrBelow, parseMountTarget } from '../../src/spec/parse-path.ts';
import { parseTaskSpec } from '../support/parse-task-spec.ts';

const invalid = expect.objectContaining({ code: 'ERR_STACKSHIM_SPEC_INVALID' });

describe('parseMounts, from text', () => {
  const parse = (text: string) => parseMounts({ mounts: [text] });

  test.each([
    ['type=bind,source=/h,target=/c', { source: '/h', target: '/c', readOnly: false }],
    ['type=bind,src=/h/,dst=/c//d/,ro', { source: '/h', target: '/c/d', readOnly: true }],
    [
      'destination=/c,type=bind,src=/h,readonly=true',
      { source: '/h', target: '/c', readOnly: true },
    ],
    ['type=bind,src=/,dst=/c,readonly=0', { source: '/', target: '/c', readOnly: false }],
    ['type=bind,src=/a/../b,dst=/x/./y', { source: '/b', target: '/x/y', readOnly: false }],
  ])('reads %s', (text, bind) => {
    expect(parse(text)).toEqual({ mounts: [bind], tmpfs: [] });
  });

  test('reads tmpfs', () => {
    expect(parse('type=tmpfs,target=/t')).toEqual({
      mounts: [],
      tmpfs: [{ target: '/t', exec: false }],
    });
    expect(parse('type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=0700')).toEqual({
      mounts: [],
      tmpfs: [{ target: '/t', sizeBytes: 1_048_576, mode: '0700', exec: false }],
    });
  });

  test.each([
    '',
    'source=/h,target=/c',
    'type=volume,source=x,target=/c',
    'type=__proto__,target=/c',
    'type=bind,target=/c',
    'type=bind,source=/h',
    'type=bind,source=h,target=/c',
    'type=bind,source=/h,target=c',
    'type=bind,source=/h,target=/c,type=bind',
    'type=bind,source=/h,src=/i,target=/c',
    'type=bind,source=/h,target=/c,bind-propagation=shared',
    'type=bind,source=/h,target=/c,readonly=maybe',
    'type=bind,source=/h,target=/c,',
    'type=bind,source,target=/c',
    'type=bind,source=/h\n,target=/c',
    'type=bind,source=/h,target=/c\0',
    'type=tmpfs,target=/t,source=/h',
    'type=tmpfs,target=/t,tmpfs-mode=9',
    'type=tmpfs,target=/t,tmpfs-size=1',
  ])('refuses %j', (text) => {
    expect(() => parse(text)).toThrow(invalid);
  });
});

describe('parseVolumeOption', () => {
  test('reads volumes with and without a mode', () => {
    expect(parseVolumeOption('/h:/c', 'v')).toEqual({
      source: '/h',
      target: '/c',
      readOnly: false,
    });
    expect(parseVolumeOption('/h:/c:ro', 'v').readOnly).toBe(true);
    expect(parseVolumeOption('/h:/c:rw', 'v').readOnly).toBe(false);
  });

  test.each(['', '/h', 'name:/c', '/h:c', '/h:/c:z', '/h:/c:ro:rw', ':/c', '/h:'])(
    'refuses %j',
    (text) => {
      expect(() => parseVolumeOption(text, 'v')).toThrow(invalid);
    },
  );
});

describe('parseTmpfsOption', () => {
  test('reads options', () => {
    expect(parseTmpfsOption('/x', 't')).toEqual({ target: '/x', exec: false });
    expect(parseTmpfsOption('/x:size=16m,mode=1777,exec,rw,nosuid,nodev', 't')).toEqual({
      target: '/x',
      sizeBytes: 16_777_216,
      mode: '1777',
      exec: true,
    });
  });

  test.each([
    '',
    'x',
    '/x:',
    '/x:size=',
    '/x:size=-1',
    '/x:mode=888',
    '/x:uid=0',
    '/x:suid',
    '/x:dev',
  ])('refuses %j', (text) => {
    expect(() => parseTmpfsOption(text, 't')).toThrow(invalid);
  });
});

describe('a target', () => {
  test.each([
    '/',
    '/.',
    '/a/..',
    '//',
    '/proc',
    '/proc/',
    '/proc/self',
    '/sys',
    '/sys/fs/cgroup',
    '/dev',
    '/dev/shm',
    '/tmp/../proc',
    '/run/stackshim',
    '/run/stackshim/payload',
    'a',
    '',
    '/a\0',
    '/a\nb',
    `/${'x'.repeat(4096)}`,
  ])('in a reserved tree or an invalid one is refused: %j', (target) => {
    expect(() => parseMountTarget(target, 'target')).toThrow(invalid);
  });

  test.each(['/devices', '/process', '/system', '/run', '/run/stackshimmy', '/tmp', '/task/data'])(
    'may cover %s',
    (target) => {
      expect(parseMountTarget(target, 'target')).toBe(target);
    },
  );

  test('that is accepted is absolute, normalised and outside of every reserved tree', () => {
    const step = fc.constantFrom('..', '.', '', 'proc', 'sys', 'dev', 'run', 'stackshim', 'a');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        let target: string;
        try {
          target = parseMountTarget(`/${steps.join('/')}`, 'target');
        } catch {
          return;
        }
        expect(target).toMatch(/^(?:\/[a-z]+)+$/);
        for (const tree of ['/proc', '/sys', '/dev', '/run/stackshim']) {
          expect(isAtOrBelow(target, tree)).toBe(false);
        }
      }),
    );
  });
});

describe('the mounts of a task', () => {
  test('can be objects, text and volumes together', () => {
    const { mounts, tmpfs } = parseTaskSpec({
      stack: 's',
      mounts: [
        { type: 'bind', source: '/a,b', target: '/x', readonly: true },
        'type=bind,src=/c,dst=/y',
        { type: 'tmpfs', target: '/t', size: '1m', mode: '700', exec: true },
      ],
      volumes: ['/d:/z:ro'],
      tmpfs: ['/u'],
    });
    expect(mounts).toEqual([
      { source: '/a,b', target: '/x', readOnly: true },
      { source: '/c', target: '/y', readOnly: false },
      { source: '/d', target: '/z', readOnly: true },
    ]);
    expect(tmpfs).toEqual([
      { target: '/t', sizeBytes: 1_048_576, mode: '700', exec: true },
      { target: '/u', exec: false },
    ]);
  });

  test('cannot share a target with each other or with the code', () => {
    const twice = { stack: 's', volumes: ['/a:/x'], tmpfs: ['/x/'] };
    expect(() => parseTaskSpec(twice)).toThrow(invalid);
    expect(() => parseTaskSpec({ stack: 's', code: '/c', volumes: ['/a:/task'] })).toThrow(invalid);
    expect(parseTaskSpec({ stack: 's', volumes: ['/a:/task'] }).mounts).toHaveLength(1);
    expect(parseTaskSpec({ stack: 's', code: '/c', volumes: ['/a:/task/d'] }).mounts).toHaveLength(
      1,
    );
  });

  test('are at most 64', () => {
    const volumes = (count: number) => Array.from({ length: count }, (_, i) => `/a:/x${i}`);
    expect(parseTaskSpec({ stack: 's', volumes: volumes(64) }).mounts).toHaveLength(64);
    expect(() => parseTaskSpec({ stack: 's', volumes: volumes(65) })).toThrow(invalid);
    const mounts = ['type=bind,src=/a,dst=/y'];
    expect(() => parseTaskSpec({ stack: 's', volumes: volumes(64), mounts })).toThrow(invalid);
  });
});
