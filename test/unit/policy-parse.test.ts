/** The policy, from text and from a file. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FIRST_BUILD_ID, FIRST_SLOT_ID, FIRST_WORKER_ID } from '../../src/core/host-ids.ts';
import { layoutFrom } from '../../src/core/layout.ts';
import { parsePolicy } from '../../src/spec/parse-policy.ts';
import { DEFAULT_POLICY } from '../../src/spec/policy.ts';
import { readPolicy } from '../../src/task/installation.ts';

const invalid = (details: object) =>
  expect.objectContaining({
    code: 'ERR_STACKSHIM_POLICY_INVALID',
    details: expect.objectContaining(details),
  });

describe('parsePolicy', () => {
  test('needs no field', () => {
    expect(parsePolicy({})).toEqual(DEFAULT_POLICY);
    expect(parsePolicy({ defaults: {}, maxima: {}, allow: {} })).toEqual(DEFAULT_POLICY);
  });

  test('reads every field', () => {
    const policy = parsePolicy({
      defaults: {
        ...{ memory: '256m', cpus: 0.5, pids: 64, timeout: '10m', stopTimeout: 0 },
        ...{ output: '1m', disk: '4m', outputSize: '2m', outputEntries: 10 },
      },
      maxima: {
        ...{ memory: '1g', cpus: '2', pids: 1024, timeout: '1h', stopTimeout: '30s' },
        ...{ outputSize: '3m', outputEntries: 20 },
        ...{ output: '64m', disk: '1t', ulimits: ['nofile=4096', 'memlock=-1', 'core=0:8'] },
      },
      allow: {
        bundles: [],
        runtimes: ['/opt/runc'],
        bindSources: ['/srv/data/', '/mnt'],
        inputs: ['/srv/jobs/'],
        outputs: ['/srv/results/'],
        devices: ['/dev/fuse', '/dev/dri/'],
        networks: ['none'],
        userns: ['auto'],
        pid: ['host'],
        capAdd: ['net_raw'],
        seccomp: ['bundle'],
        newPrivileges: false,
        exec: ['job'],
      },
      disk: { mechanism: 'sampling' },
      reports: { count: 10, size: '64m', age: '36h', log: '1m' },
      builds: { jobs: true, cache: '1g', cacheAge: '1h' },
      worker: { memory: 1.5, cpus: '4', disk: 0.8 },
      jobs: { payload: '1m', config: '1k', timeout: '2h', retries: 3 },
      binds: { owner: 200_000 },
    });
    expect(policy).toEqual({
      defaults: {
        memoryBytes: 268_435_456,
        cpus: 0.5,
        pids: 64,
        timeoutMs: 600_000,
        stopTimeoutMs: 0,
        outputBytes: 1_048_576,
        diskBytes: 4_194_304,
        takenBytes: 2_097_152,
        takenEntries: 10,
        // Their usual values, lowered to the maxima of tasks.
        buildTimeoutMs: 600_000,
        buildMemoryBytes: 1_073_741_824,
        buildDiskBytes: 2_147_483_648,
      },
      maxima: {
        memoryBytes: 1_073_741_824,
        cpus: 2,
        pids: 1024,
        timeoutMs: 3_600_000,
        stopTimeoutMs: 30_000,
        outputBytes: 67_108_864,
        diskBytes: 1_099_511_627_776,
        takenBytes: 3_145_728,
        takenEntries: 20,
        buildTimeoutMs: 3_600_000,
        buildMemoryBytes: 1_073_741_824,
        buildDiskBytes: 1_099_511_627_776,
      },
      allow: {
        bundles: [],
        runtimes: ['/opt/runc'],
        bindSources: ['/srv/data', '/mnt'],
        inputs: ['/srv/jobs'],
        outputs: ['/srv/results'],
        devices: ['/dev/fuse', '/dev/dri'],
        networks: ['none'],
        buildNetworks: ['none'],
        userns: ['auto'],
        pid: ['host'],
        capAdd: ['CAP_NET_RAW'],
        seccomp: ['bundle'],
        newPrivileges: false,
        exec: ['job'],
      },
      throttles: { defaults: [], maxima: [] },
      ulimitMaxima: {
        ...DEFAULT_POLICY.ulimitMaxima,
        ...{ RLIMIT_NOFILE: 4096, RLIMIT_MEMLOCK: Infinity, RLIMIT_CORE: 8 },
      },
      reserves: {},
      tenants: new Map(),
      tenantDefault: { weight: 100 },
      disk: { mechanism: 'sampling' },
      reports: { count: 10, bytes: 67_108_864, ageMs: 129_600_000, logBytes: 1_048_576 },
      builds: { jobs: true, cacheBytes: 1_073_741_824, cacheAgeMs: 3_600_000 },
      worker: { memory: 1.5, cpus: 4, disk: 0.8 },
      jobs: { payloadBytes: 1_048_576, configBytes: 1024, timeoutMs: 7_200_000, retries: 3 },
      binds: { owner: 200_000 },
    });
  });

  test('lowers a default above its maximum to the maximum', () => {
    const { defaults } = parsePolicy({ maxima: { memory: '64m', timeout: '5s', pids: 8 } });
    expect(defaults).toEqual({
      ...DEFAULT_POLICY.defaults,
      memoryBytes: 67_108_864,
      timeoutMs: 5000,
      pids: 8,
      buildMemoryBytes: 67_108_864,
      buildTimeoutMs: 5000,
    });
  });

  test('gives a task no copy of what it may not bind, unless the policy allows it', () => {
    const inputsOf = (allow: object) => parsePolicy({ allow }).allow.inputs;
    expect(inputsOf({})).toEqual(['/']);
    expect(inputsOf({ bindSources: ['/srv/data'] })).toEqual(['/srv/data']);
    expect(inputsOf({ bindSources: [] })).toEqual([]);
    expect(inputsOf({ bindSources: [], inputs: ['/srv/jobs'] })).toEqual(['/srv/jobs']);
    expect(inputsOf({ inputs: [] })).toEqual([]);
  });

  test('uses a maximum as the default if there is no other', () => {
    expect(parsePolicy({ maxima: { cpuTime: '30s', cpuShares: 100 } }).defaults).toEqual({
      ...DEFAULT_POLICY.defaults,
      cpuTimeMs: 30_000,
      cpuShares: 100,
    });
    const high = parsePolicy({ maxima: { cpuShares: 2048 } });
    expect(high.defaults).not.toHaveProperty('cpuShares');
    expect(
      parsePolicy({ defaults: { cpuShares: 4000 }, maxima: { cpuShares: 2048 } }),
    ).toMatchObject({ defaults: { cpuShares: 2048 } });
  });

  test('prefers a tenant’s own limits to those for all tenants', () => {
    const { tenants, tenantDefault } = parsePolicy({
      tenantDefault: { maxTasks: 2, memory: '1g' },
      tenants: { acme: { weight: 300, maxTasks: 0 }, lone: { cpus: '1.5', memory: '8m' } },
    });
    const common = { weight: 100, maxTasks: 2, memoryBytes: 1_073_741_824 };
    expect(tenantDefault).toEqual(common);
    expect(tenants.get('acme')).toEqual({ ...common, weight: 300, maxTasks: 0 });
    expect(tenants.get('lone')).toEqual({ ...common, cpus: 1.5, memoryBytes: 8_388_608 });
    expect(DEFAULT_POLICY.tenantDefault).toEqual({ weight: 100 });
  });

  test('reads limits on disks, slots and reserves', () => {
    const policy = parsePolicy({
      defaults: { deviceReadBps: ['/dev/sda:1m'] },
      maxima: { deviceWriteIops: ['/dev/sda:9'] },
      slots: '20',
      reserves: { memory: '1g', disk: '10g' },
    });
    expect(policy.throttles).toEqual({
      defaults: [{ kind: 'readBps', path: '/dev/sda', perSecond: 1_048_576 }],
      maxima: [{ kind: 'writeIops', path: '/dev/sda', perSecond: 9 }],
    });
    expect(policy.slots).toBe(20);
    expect(policy.reserves).toEqual({ memoryBytes: 1_073_741_824, diskBytes: 10_737_418_240 });
  });

  test.each<[string, unknown]>([
    ['policy', null],
    ['policy', []],
    ['tenants.acme.weight', { tenants: { acme: { weight: 0 } } }],
    ['tenants.acme.colour', { tenants: { acme: { colour: 'red' } } }],
    ['tenants._x', { tenants: { _x: {} } }],
    ['tenants', { tenants: [] }],
    ['tenants', { tenants: JSON.parse('{"__proto__":{}}') }],
    ['tenantDefault.maxTasks', { tenantDefault: { maxTasks: -1 } }],
    ['tenantDefault.memory', { tenantDefault: { memory: '1m' } }],
    ['slots', { slots: 4097 }],
    ['reserves.memory', { reserves: { memory: 'much' } }],
    ['reserves.cpus', { reserves: { cpus: 1 } }],
    ['defaults.cpuShares', { defaults: { cpuShares: 1 } }],
    ['maxima.cpuTime', { maxima: { cpuTime: 0 } }],
    ['maxima.deviceReadBps[0]', { maxima: { deviceReadBps: ['/dev/sda'] } }],
    ['allow.pid[0]', { allow: { pid: ['container'] } }],
    ['defaults.disk', { defaults: { disk: '1k' } }],
    ['jobs.payload', { jobs: { payload: '2m' } }],
    ['jobs.timeout', { jobs: { timeout: 0 } }],
    ['jobs.retries', { jobs: { retries: 11 } }],
    ['jobs.delay', { jobs: { delay: '1s' } }],
    ['reports.count', { reports: { count: -1 } }],
    ['reports.age', { reports: { age: 'long' } }],
    ['reports.log', { reports: { log: '1k' } }],
    ['reports.keep', { reports: { keep: 1 } }],
    ['worker.memory', { worker: { memory: 0 } }],
    ['worker.cpus', { worker: { cpus: 'all' } }],
    ['worker.disk', { worker: { disk: 1_001 } }],
    ['worker.tasks', { worker: { tasks: 1 } }],
    ['binds.owner', { binds: { owner: 0 } }],
    ['binds.owner', { binds: { owner: 4_294_967_295 } }],
    ['binds.owner', { binds: { owner: FIRST_SLOT_ID } }],
    ['binds.owner', { binds: { owner: FIRST_BUILD_ID } }],
    ['binds.owner', { binds: { owner: FIRST_WORKER_ID + 1 } }],
    ['binds.group', { binds: { group: 1000 } }],
    ['disk.mechanism', { disk: { mechanism: 'quota' } }],
    ['defaults.memory', { defaults: { memory: '1m' } }],
    ['maxima.timeout', { maxima: { timeout: -1 } }],
    ['maxima.pids', { maxima: { pids: 1.5 } }],
    ['maxima.cpus', { maxima: { cpus: 'all' } }],
    ['allow.networks[0]', { allow: { networks: ['bridge'] } }],
    ['allow.capAdd[0]', { allow: { capAdd: ['EVERYTHING'] } }],
    ['allow.bindSources[0]', { allow: { bindSources: ['data'] } }],
    ['allow.devices[0]', { allow: { devices: ['fuse'] } }],
    ['allow.inputs[0]', { allow: { inputs: ['jobs'] } }],
    ['maxima.stopTimeout', { maxima: { stopTimeout: '2h' } }],
    ['maxima.ulimits[0]', { maxima: { ulimits: ['rtprio'] } }],
    ['defaults.ulimits', { defaults: { ulimits: ['nofile=1'] } }],
    ['allow.newPrivileges', { allow: { newPrivileges: 'no' } }],
    ['allow.exec[0]', { allow: { exec: ['everybody'] } }],
    ['allow.runtimes', { allow: { runtimes: 'runc' } }],
  ])('refuses %s', (field, input) => {
    expect(() => parsePolicy(input)).toThrow(invalid({ field }));
  });
});

describe('readPolicy', () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'stackshim-policy-'));
    file = join(folder, 'policy.json');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const readFile = () => readPolicy({ policyFile: file });

  test('requires a file that was named, and uses defaults without one at the default path', async () => {
    await expect(readFile()).rejects.toThrow(invalid({ file }));
    const policyFile = file;
    expect(await readPolicy({ policyFile, policyIsOptional: true })).toBe(DEFAULT_POLICY);
    expect(layoutFrom({}, {})).toMatchObject({ policyIsOptional: true });
    for (const layout of [
      layoutFrom({ policy: policyFile }, {}),
      layoutFrom({}, { STACKSHIM_POLICY: policyFile }),
    ]) {
      await expect(readPolicy(layout)).rejects.toThrow(invalid({ file }));
    }
  });

  test('refuses a dangling link, even at the default path', async () => {
    symlinkSync('nowhere', file);
    await expect(readPolicy({ policyFile: file, policyIsOptional: true })).rejects.toThrow(
      invalid({ file }),
    );
    symlinkSync('nowhere', `${folder}/etc`);
    const policyFile = `${folder}/etc/policy.json`;
    await expect(readPolicy({ policyFile, policyIsOptional: true })).rejects.toThrow(invalid({}));
  });

  test('reads a file, and follows a link to one', async () => {
    writeFileSync(file, '{"defaults":{"memory":"64m"}}', { mode: 0o644 });
    expect((await readFile()).defaults.memoryBytes).toBe(67_108_864);
    symlinkSync('policy.json', `${folder}/link`);
    expect((await readPolicy({ policyFile: `${folder}/link` })).defaults.memoryBytes).toBe(
      67_108_864,
    );
  });

  test.each(['', '{', 'null', '{"defaults":{"memory":"x"}}', '{"unknown":1}'])(
    'refuses a file that holds %j',
    async (text) => {
      writeFileSync(file, text);
      await expect(readFile()).rejects.toThrow(invalid({}));
    },
  );

  test('refuses files that other users may write, that are too large, or that are not regular files', async () => {
    writeFileSync(file, '{}');
    chmodSync(file, 0o666);
    await expect(readFile()).rejects.toThrow(invalid({ file }));
    chmodSync(file, 0o620);
    await expect(readFile()).rejects.toThrow(invalid({ file }));
    chmodSync(file, 0o644);
    writeFileSync(file, ' '.repeat(1_048_577));
    await expect(readFile()).rejects.toThrow(invalid({ file }));
    rmSync(file);
    mkdirSync(file);
    await expect(readFile()).rejects.toThrow(invalid({ file }));
  });
});
