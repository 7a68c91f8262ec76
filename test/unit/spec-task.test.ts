/** A whole task, from a user's input to a TaskSpec. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StackshimError } from '../../src/core/errors.ts';
import { parseTaskSpec } from '../support/parse-task-spec.ts';
import { TASK_INPUT_FIELDS } from '../support/tasks/task-fields.ts';

const fails = (field: string) =>
  expect.objectContaining({
    code: 'ERR_STACKSHIM_SPEC_INVALID',
    kind: 'invalid',
    details: expect.objectContaining({ field }),
  });

describe('parseTaskSpec', () => {
  test('reads the smallest task, with every default', () => {
    expect(parseTaskSpec({ stack: 'python-3.13' })).toEqual({
      stack: { name: 'python-3.13' },
      command: [],
      env: {},
      limits: {},
      throttles: [],
      oomGroup: false,
      ulimits: [],
      mounts: [],
      tmpfs: [],
      devices: [],
      readOnly: false,
      network: 'none',
      buildNetwork: 'none',
      args: 'none',
      capAdd: [],
      capDrop: [],
      noNewPrivileges: true,
      userns: 'auto',
      pid: 'private',
      init: false,
      labels: {},
      tty: false,
      interactive: false,
      runtime: 'runc',
      outputs: [],
      outputRequired: false,
      keep: false,
      log: false,
      remove: 'sync',
      captureBytes: 1_048_576,
    });
  });

  test('reads every field', () => {
    const input = {
      stack: 'python-3.13@rev:3',
      command: ['python3', '-c', 'print("ü")', ''],
      id: 'job_1',
      env: { A: '1' },
      memory: '256m',
      cpus: 0.5,
      pidsLimit: 64,
      cpuShares: '512',
      cpuTime: '30s',
      oomGroup: true,
      deviceReadBps: ['/dev/sda:50m'],
      deviceWriteBps: ['/dev/sda:1kb', '/dev/disk:0:2048'],
      deviceReadIops: ['/dev/../dev/sda:100'],
      deviceWriteIops: ['/dev/sda:7'],
      tenant: 'acme',
      ulimits: ['nofile=1024:2048'],
      timeout: '1m30s',
      stopTimeout: 0,
      stopSignal: 'rtmin+3',
      entrypoint: ['/init', '-v'],
      outputLimit: '64k',
      disk: '8m',
      captureBytes: 0,
      workdir: '/srv/../srv/app/',
      user: 'nobody:nogroup',
      hostname: 'worker-1.local',
      mounts: ['type=bind,src=/a,dst=/x'],
      volumes: ['/b:/y:ro'],
      tmpfs: ['/z:size=1m'],
      devices: ['/dev/fuse', '/dev/sdb:/dev/disk:r'],
      readOnly: true,
      network: 'host',
      capAdd: ['net_raw'],
      capDrop: ['ALL'],
      securityOpt: ['seccomp=/p.json', 'no-new-privileges=false'],
      userns: 'host',
      pid: 'host',
      init: true,
      labels: { job: '7' },
      tty: true,
      interactive: true,
      runtime: '/opt/runc',
      bundle: 'default',
      code: 'relative/dir',
      build: 'make all',
      buildNetwork: 'host',
      buildTimeout: '5m',
      buildMemory: '1g',
      buildDisk: 16_777_216,
      payload: '{"n":1}',
      configFile: '/c.json',
      args: 'iron',
      scheduleId: 'nightly',
      outputs: ['a/*.log:logs', { source: '/a:b', destination: '-' }, '/c'],
      outputRequired: true,
      outputMaxSize: '1m',
      outputMaxEntries: 7,
      keep: true,
      log: true,
      remove: 'async',
    };
    expect(Object.keys(input).concat('payloadFile').sort()).toEqual([...TASK_INPUT_FIELDS].sort());
    expect(parseTaskSpec(input)).toEqual({
      stack: { name: 'python-3.13', revision: 3 },
      command: ['python3', '-c', 'print("ü")', ''],
      id: 'job_1',
      env: { A: '1' },
      limits: {
        memoryBytes: 268_435_456,
        cpus: 0.5,
        pids: 64,
        timeoutMs: 90_000,
        stopTimeoutMs: 0,
        outputBytes: 65_536,
        cpuTimeMs: 30_000,
        cpuShares: 512,
        diskBytes: 8_388_608,
        takenBytes: 1_048_576,
        takenEntries: 7,
        buildTimeoutMs: 300_000,
        buildMemoryBytes: 1_073_741_824,
        buildDiskBytes: 16_777_216,
      },
      outputs: [
        { source: 'a/*.log', destination: 'logs' },
        { source: '/a:b', destination: '-' },
        { source: '/c', destination: '.' },
      ],
      outputRequired: true,
      build: ['/bin/sh', '-c', 'make all'],
      buildNetwork: 'host',
      tenant: 'acme',
      throttles: [
        { kind: 'readBps', path: '/dev/sda', perSecond: 52_428_800 },
        { kind: 'writeBps', path: '/dev/sda', perSecond: 1024 },
        { kind: 'writeBps', path: '/dev/disk:0', perSecond: 2048 },
        { kind: 'readIops', path: '/dev/sda', perSecond: 100 },
        { kind: 'writeIops', path: '/dev/sda', perSecond: 7 },
      ],
      oomGroup: true,
      ulimits: [{ type: 'RLIMIT_NOFILE', soft: 1024, hard: 2048 }],
      stopSignal: 37,
      entrypoint: ['/init', '-v'],
      captureBytes: 0,
      workdir: '/srv/app',
      user: 'nobody:nogroup',
      hostname: 'worker-1.local',
      mounts: [
        { source: '/a', target: '/x', readOnly: false },
        { source: '/b', target: '/y', readOnly: true },
      ],
      tmpfs: [{ target: '/z', sizeBytes: 1_048_576, exec: false }],
      devices: [
        { source: '/dev/fuse', target: '/dev/fuse', access: 'rwm' },
        { source: '/dev/sdb', target: '/dev/disk', access: 'r' },
      ],
      readOnly: true,
      network: 'host',
      capAdd: ['CAP_NET_RAW'],
      capDrop: ['ALL'],
      seccomp: '/p.json',
      noNewPrivileges: false,
      userns: 'host',
      pid: 'host',
      init: true,
      labels: { job: '7' },
      tty: true,
      interactive: true,
      runtime: '/opt/runc',
      bundle: 'default',
      code: { kind: 'path', path: 'relative/dir' },
      payload: { kind: 'text', text: '{"n":1}' },
      config: { kind: 'file', path: '/c.json' },
      args: 'iron',
      scheduleId: 'nightly',
      keep: true,
      log: true,
      remove: 'async',
    });
  });

  test('treats an undefined field as absent', () => {
    expect(parseTaskSpec({ stack: 's', memory: undefined, id: undefined })).toEqual(
      parseTaskSpec({ stack: 's' }),
    );
  });

  test.each<[string, unknown]>([
    ['task', null],
    ['task', 'python'],
    ['task', []],
    ['stack', {}],
    ['stack', { stack: 7 }],
    ['stack', { stack: 'No Such' }],
    ['colour', { stack: 's', colour: 'red' }],
    ['constructor', { stack: 's', constructor: 1 }],
    ['command', { stack: 's', command: 'true' }],
    ['command[1]', { stack: 's', command: ['a', 1] }],
    ['command[1]', { stack: 's', command: ['a', 'b\0'] }],
    ['command[0]', { stack: 's', command: [''] }],
    ['command[0]', { stack: 's', command: ['x'.repeat(131_072)] }],
    ['command', { stack: 's', command: Array.from({ length: 8193 }, () => 'x') }],
    ['command', { stack: 's', command: Array.from({ length: 11 }, () => 'x'.repeat(100_000)) }],
    ['id', { stack: 's', id: '../x' }],
    ['id', { stack: 's', id: '' }],
    ['env.A', { stack: 's', env: { A: 1 } }],
    ['env', { stack: 's', env: { 'A B': '1' } }],
    ['env', { stack: 's', env: JSON.parse('{"__proto__":"1"}') }],
    ['env', { stack: 's', env: ['A=1'] }],
    ['labels', { stack: 's', labels: JSON.parse('{"__proto__":"1"}') }],
    ['labels', { stack: 's', labels: { ' ': '1' } }],
    ['memory', { stack: 's', memory: '4095k' }],
    ['memory', { stack: 's', memory: -1 }],
    ['memory', { stack: 's', memory: true }],
    ['memory', { stack: 's', memory: 'lots' }],
    ['cpus', { stack: 's', cpus: 0 }],
    ['pidsLimit', { stack: 's', pidsLimit: -1 }],
    ['cpuShares', { stack: 's', cpuShares: 1 }],
    ['cpuShares', { stack: 's', cpuShares: 262_145 }],
    ['cpuTime', { stack: 's', cpuTime: 0 }],
    ['oomGroup', { stack: 's', oomGroup: 'yes' }],
    ['tenant', { stack: 's', tenant: '_acme' }],
    ['tenant', { stack: 's', tenant: '../x' }],
    ['tenant', { stack: 's', tenant: '' }],
    ['pid', { stack: 's', pid: 'container:x', userns: 'host' }],
    ['pid', { stack: 's', pid: 'host' }],
    ['deviceReadBps[0]', { stack: 's', deviceReadBps: ['/dev/sda'] }],
    ['deviceReadBps[0]', { stack: 's', deviceReadBps: ['sda:1m'] }],
    ['deviceWriteBps[1]', { stack: 's', deviceWriteBps: ['/dev/a:1', '/dev/a:0'] }],
    ['deviceReadIops[0]', { stack: 's', deviceReadIops: ['/dev/sda:1m'] }],
    [
      'deviceWriteIops',
      { stack: 's', deviceWriteIops: Array.from({ length: 17 }, (_, i) => `/dev/x${i}:1`) },
    ],
    ['ulimits[0]', { stack: 's', ulimits: ['nofile'] }],
    ['timeout', { stack: 's', timeout: 0 }],
    ['timeout', { stack: 's', timeout: -5 }],
    ['timeout', { stack: 's', timeout: Number.NaN }],
    ['timeout', { stack: 's', timeout: '721h' }],
    ['timeout', { stack: 's', timeout: 'soon' }],
    ['stopTimeout', { stack: 's', stopTimeout: '2h' }],
    ['outputLimit', { stack: 's', outputLimit: 0 }],
    ['captureBytes', { stack: 's', captureBytes: '65m' }],
    ['workdir', { stack: 's', workdir: 'app' }],
    ['user', { stack: 's', user: 'a b' }],
    ['hostname', { stack: 's', hostname: '-x' }],
    ['hostname', { stack: 's', hostname: 'x'.repeat(65) }],
    ['mounts[0]', { stack: 's', mounts: [7] }],
    ['mounts[0].target', { stack: 's', mounts: [{ type: 'bind', source: '/a' }] }],
    [
      'mounts[0].size',
      { stack: 's', mounts: [{ type: 'bind', source: '/a', target: '/b', size: 1 }] },
    ],
    ['mounts[0].type', { stack: 's', mounts: [{ type: 'volume', source: 'a', target: '/b' }] }],
    ['mounts[0] target', { stack: 's', mounts: [{ type: 'bind', source: '/a', target: '/proc' }] }],
    ['network', { stack: 's', network: 'bridge' }],
    ['capAdd[0]', { stack: 's', capAdd: ['ROOT'] }],
    ['securityOpt', { stack: 's', securityOpt: ['apparmor=x'] }],
    ['userns', { stack: 's', userns: 'private' }],
    ['tty', { stack: 's', tty: 'yes' }],
    ['runtime', { stack: 's', runtime: 'youki' }],
    ['bundle', { stack: 's', bundle: '../default' }],
    ['code', { stack: 's', code: '' }],
    ['code', { stack: 's', code: 'a\0' }],
    ['payload', { stack: 's', payload: 'x', payloadFile: '/x' }],
    ['payload', { stack: 's', payload: 'x'.repeat(16_777_217) }],
    ['configFile', { stack: 's', configFile: '' }],
    ['args', { stack: 's', args: 'docker' }],
    ['args', { stack: 's', args: ['iron'] }],
    ['scheduleId', { stack: 's', scheduleId: '' }],
    ['scheduleId', { stack: 's', scheduleId: '-id' }],
    ['remove', { stack: 's', remove: 'later' }],
    ['command', { stack: 's', command: { length: { toString: 1 } } }],
    // A Map has no keys of its own.
    ['env', { stack: 's', env: new Map([['A', '1']]) }],
    ['colour', Object.assign(Object.create({ colour: 'red' }), { stack: 's' })],
    [
      'task',
      {
        get stack() {
          throw new Error('gone');
        },
      },
    ],
    ['id', { stack: 's', id: 'x'.repeat(60_000) }],
  ])('refuses %s', (field, input) => {
    expect(() => parseTaskSpec(input)).toThrow(fails(field));
  });

  test('names field and value in its message', () => {
    expect(() => parseTaskSpec({ stack: 's', memory: '3m' })).toThrow(
      'memory "3m": less than the minimum of 4m',
    );
    expect(() => parseTaskSpec({ stack: 's', colour: 1 })).toThrow('colour: no such field');
    expect(() => parseTaskSpec({ stack: 's', memory: true })).toThrow(
      'memory: not a string and not a number',
    );
  });

  test('returns a spec or one typed error for anything', () => {
    const fields = fc.constantFrom(...TASK_INPUT_FIELDS, '__proto__', 'toString');
    const input = fc.dictionary(
      fields,
      fc.oneof(fc.anything(), fc.string(), fc.array(fc.string())),
    );
    fc.assert(
      fc.property(input, (given) => {
        try {
          parseTaskSpec({ stack: 's', ...given });
        } catch (error) {
          expect(error).toBeInstanceOf(StackshimError);
          expect(error).toMatchObject({ code: 'ERR_STACKSHIM_SPEC_INVALID' });
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('signals and entrypoints', () => {
  const parse = (more: object) => parseTaskSpec({ stack: 'a', ...more });

  test.each([
    ['TERM', 15],
    ['SIGQUIT', 3],
    ['sigusr1', 10],
    ['9', 9],
    ['RTMIN', 34],
    ['SIGRTMAX-1', 63],
  ])('read the stop signal %s as %i', (stopSignal, number) => {
    expect(parse({ stopSignal }).stopSignal).toBe(number);
  });

  test.each(['', 'FOO', '0', '65', 'RTMIN-1', 'RTMAX+1', 'SIG'])(
    'refuse %j as a signal',
    (stopSignal) => {
      expect(() => parse({ stopSignal })).toThrow(fails('stopSignal'));
    },
  );

  test.each([
    ['/bin/x', ['/bin/x']],
    ['', []],
    [[], []],
    [[''], []],
    [
      ['/bin/x', '-v'],
      ['/bin/x', '-v'],
    ],
  ])('read the entrypoint %j', (entrypoint, expected) => {
    expect(parse({ entrypoint }).entrypoint).toEqual(expected);
  });

  test('refuse an entrypoint without a program', () => {
    expect(() => parse({ entrypoint: ['', 'x'] })).toThrow(fails('entrypoint[0]'));
  });
});
