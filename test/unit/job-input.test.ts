/** Data from a queue: what it may contain, and the schema for it. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JobInput, TaskInput } from '../../src/index.ts';
import { parseJobInput } from '../../src/spec/parse-task-spec.ts';
import { parseTaskSpec } from '../support/parse-task-spec.ts';
import { fitsJobSchema, requireAgreement } from '../support/tasks/job-agreement.ts';
import { TASK_INPUT_FIELDS } from '../support/tasks/task-fields.ts';

const job = {
  stack: 'python-3.13@rev:3',
  command: ['python3', '-c', 'print("ü")', ''],
  entrypoint: ['/init', '-v'],
  code: 'report-mailer@rev:3',
  env: { A: '1', 'b.c': '' },
  workdir: '/srv/app',
  user: 'nobody:nogroup',
  payload: '{"a":1}',
  args: 'names',
  memory: '256m',
  cpus: 0.5,
  pidsLimit: 64,
  timeout: '1m30s',
  stopTimeout: 0,
  outputLimit: '64 KiB',
  cpuTime: '30s',
  cpuShares: '512',
  build: 'npm ci',
  buildTimeout: '5m',
  buildMemory: '1g',
  buildDisk: 16_777_216,
  disk: 8_388_608,
  oomGroup: true,
  ulimits: ['nofile=1024:2048', 'core=0', 'nproc=-1'],
  stopSignal: 'rtmin+3',
  labels: { 'team/app': 'x' },
  hostname: 'worker-1.local',
  readOnly: true,
  init: true,
} satisfies Required<JobInput>;

/** Fields that name or open something of the host, or are decided by the program that runs the task. */
const others = {
  id: 'a',
  tenant: 'acme',
  tty: false,
  interactive: false,
  payloadFile: '/etc/passwd',
  configFile: '/etc/passwd',
  scheduleId: 'nightly',
  captureBytes: 1,
  deviceReadBps: ['/dev/sda:1m'],
  deviceWriteBps: [],
  deviceReadIops: [],
  deviceWriteIops: [],
  mounts: [{ type: 'bind', source: '/', target: '/host' }],
  volumes: ['/:/host'],
  tmpfs: ['/t'],
  devices: ['/dev/kmsg'],
  network: 'none',
  buildNetwork: 'none',
  capAdd: ['SYS_ADMIN'],
  capDrop: ['ALL'],
  securityOpt: ['seccomp=unconfined'],
  userns: 'host',
  pid: 'host',
  runtime: '/tmp/runc',
  bundle: 'fuse',
  outputs: ['/task/out:/etc'],
  outputRequired: true,
  outputMaxSize: '1m',
  outputMaxEntries: 1,
  keep: true,
  log: true,
  remove: 'async',
} satisfies Required<Omit<TaskInput, keyof JobInput>>;

describe('data from a queue', () => {
  it('may set all fields of a job, and is returned unchanged', () => {
    expect(parseJobInput(job)).toEqual(job);
    expect(parseTaskSpec(job, 'job')).toEqual(parseTaskSpec(job));
    expect(Object.keys({ ...job, ...others }).sort()).toEqual([...TASK_INPUT_FIELDS].sort());
  });

  it.each(Object.entries(others))('is refused by field name if it sets %s', (field, value) => {
    parseTaskSpec({ stack: 's', userns: 'host', [field]: value });
    const data = { stack: 's', [field]: value };
    const denied = expect.objectContaining({
      code: 'ERR_STACKSHIM_SPEC_DENIED',
      message: expect.stringContaining(`${field}: data from a queue may not set this field: `),
      details: { field },
    });
    expect(() => parseJobInput(data)).toThrow(denied);
    expect(() => parseTaskSpec(data, 'job')).toThrow(denied);
    expect(fitsJobSchema(data)).toBe(false);
  });

  it('is read once: a field that changes between two reads keeps its first value', () => {
    let looks = 0;
    const data = { stack: 's' };
    Object.defineProperty(data, 'volumes', {
      enumerable: true,
      get: () => (looks++ === 0 ? undefined : ['/:/host']),
    });
    expect(parseTaskSpec(data, 'job').mounts).toEqual([]);
    expect(looks).toBe(1);
  });

  it('is refused for an invalid value, like any task', () => {
    expect(() => parseJobInput({ stack: 's', memory: '1k' })).toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_SPEC_INVALID' }),
    );
  });
});

describe('schemas/job.schema.json', () => {
  it.each([job, { stack: 's' }, { stack: 's', entrypoint: '' }, { stack: 's', command: [] }])(
    'accepts a job: %j',
    (one) => {
      expect(requireAgreement(one)).toBeUndefined();
    },
  );

  it('accepts the example in docs/task-spec.md', () => {
    const document = readFileSync(new URL('../../docs/task-spec.md', import.meta.url), 'utf8');
    const [, example = ''] = /```json\n([\s\S]*?)```/.exec(document) ?? [];
    expect(requireAgreement(JSON.parse(example))).toBeUndefined();
  });

  it.each([
    {},
    { stack: 's', colour: 1 },
    { stack: 's', command: ['', 'a'] },
    { stack: 's', command: [1] },
    { stack: 's', memory: true },
    { stack: 's', memory: 1 },
    { stack: 's', timeout: 0.5 },
    { stack: 's', env: { 'a=b': '' } },
    { stack: 's', ulimits: ['nosuch=1'] },
    { stack: 's', labels: { '': 'a' } },
    { stack: 's@' },
    null,
    [],
  ])('refuses what the reader refuses: %j', (one) => {
    expect(requireAgreement(one)).toBeDefined();
    expect(fitsJobSchema(one)).toBe(false);
  });

  it('agrees with the reader on random data', () => {
    let taken = 0;
    let refused = 0;
    fc.assert(
      fc.property(anyJob, (one) => {
        if (requireAgreement(one) === undefined) taken += 1;
        else refused += 1;
      }),
      { numRuns: 5_000 },
    );
    expect(Math.min(taken, refused)).toBeGreaterThan(250);
  });
});

const samples = [
  ...['', '0', '1', '256m', '1.5g', '64 KiB', '16B', '8tb', '60s', '1m30s', '500ms', '5', '0.01'],
  ...[
    'a',
    'root',
    '1:2',
    'a:b$',
    '/a/../b',
    'python-3.13',
    's@rev:4',
    'a..b',
    'KILL',
    'SIGRTMAX-1',
  ],
  ...[
    'core=0',
    'nofile=1:2',
    'nofile=2:1',
    'cpu=-1',
    'A',
    '__proto__',
    'a b',
    'é',
    '\0',
    '\n',
    '😀',
    '/a\0b',
    '/a\nb',
    '/\u2028',
  ],
];
const text = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...samples) },
  { weight: 1, arbitrary: fc.string({ maxLength: 8 }) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(...samples), fc.nat(8), fc.string({ unit: 'grapheme', maxLength: 1 }))
      .map(([sample, at, more]) => sample.slice(0, at) + more + sample.slice(at)),
  },
);
const number = fc.oneof(
  fc.constantFrom(0, -1, 0.5, 1, 2, 1.5, 4_194_304, 2 ** 53, 262_144, 8192, 3_600_000, 3_600_000.4),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
);
const anyField = fc.oneof(
  { weight: 4, arbitrary: text },
  { weight: 3, arbitrary: number },
  { weight: 2, arbitrary: fc.boolean() },
  { weight: 2, arbitrary: fc.array(text, { maxLength: 3 }) },
  { weight: 2, arbitrary: fc.dictionary(text, text, { maxKeys: 3 }) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
);
const changed = fc.tuple(fc.constantFrom(...Object.keys(job), 'volumes', 'colour'), anyField);
/** A job with some fields replaced, converted to text and back, as in a queue. */
const anyJob = fc
  .tuple(fc.subarray(Object.entries(job)), fc.array(changed, { maxLength: 2 }))
  .map(([kept, replaced]): unknown =>
    JSON.parse(JSON.stringify({ stack: 's', ...Object.fromEntries([...kept, ...replaced]) })),
  );
