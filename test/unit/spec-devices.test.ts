/** `--device` in docker's format, and where a device may be placed in a task. */
import { describe, expect, test } from 'vitest';
import { parseDevices } from '../../src/spec/parse-mounts.ts';
import { parseTaskSpec } from '../support/parse-task-spec.ts';

const invalid = expect.objectContaining({ code: 'ERR_STACKSHIM_SPEC_INVALID' });

describe('parseDevices', () => {
  test.each([
    ['/dev/fuse', { source: '/dev/fuse', target: '/dev/fuse', access: 'rwm' }],
    ['/dev/fuse:r', { source: '/dev/fuse', target: '/dev/fuse', access: 'r' }],
    ['/dev/a:/dev/b', { source: '/dev/a', target: '/dev/b', access: 'rwm' }],
    ['/dev/a:/dev/x/b:wr', { source: '/dev/a', target: '/dev/x/b', access: 'wr' }],
    ['/srv/link:/dev/b', { source: '/srv/link', target: '/dev/b', access: 'rwm' }],
    ['/dev//a/../b/:/dev/./c:m', { source: '/dev/b', target: '/dev/c', access: 'm' }],
    ['/dev/nullable', { source: '/dev/nullable', target: '/dev/nullable', access: 'rwm' }],
  ])('%s', (text, device) => {
    expect(parseDevices([text])).toEqual([device]);
  });

  test.each([
    '',
    ':',
    'dev/fuse',
    '/dev/a:',
    '/dev/a:x',
    '/dev/a:rr',
    '/dev/a:rwmr',
    '/dev/a:/dev/b:',
    '/dev/a:/dev/b:rx',
    '/dev/a:/dev/b:r:w',
    '/dev/a:r:/dev/b',
    '/dev/a:/etc/b',
    '/dev/a:/dev',
    '/dev/a:/dev/..',
    '/dev/a:/device',
    '/srv/device',
    '/dev/null',
    '/dev/a:/dev/ptmx',
    '/dev/a:/dev/shm/b',
    '/dev/a:/dev/pts/0',
    '/dev/a\n',
    '/dev/a\0',
  ])('%j is refused', (text) => {
    expect(() => parseDevices([text])).toThrow(invalid);
  });

  test('refuses two devices with one path', () => {
    expect(() => parseDevices(['/dev/a', '/dev/b:/dev/a'])).toThrow(
      expect.objectContaining({ details: { field: 'devices[1]', value: '/dev/a' } }),
    );
    expect(parseDevices(['/dev/a', '/dev/a:/dev/b'])).toHaveLength(2);
  });
});

test('gives a task no device unless it asks', () => {
  expect(parseTaskSpec({ stack: 'a' }).devices).toEqual([]);
  const many = Array.from({ length: 33 }, (_, i) => `/dev/a${i}`);
  expect(() => parseTaskSpec({ stack: 'a', devices: many })).toThrow(invalid);
});
