/** A job as producers write it: what it may contain, and the schema for it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StackshimError } from '../../../src/core/errors.ts';
import { OPTION_ROWS } from '../../../src/spec/options/task-options.ts';
import { DEFAULT_POLICY } from '../../../src/spec/policy.ts';
import type { JobData } from '../../../src/worker/job/job-data.ts';
import { isOwnJobField } from '../../../src/worker/job/job-fields.ts';
import { jobBytes, parseJobData } from '../../../src/worker/job/parse-job.ts';
import { replaceBetween } from '../support/option-docs.ts';
import { toQueueJobSchema, toQueueJobTable } from '../support/queue-job-docs.ts';

const at = (path: string) => new URL(`../../../${path}`, import.meta.url);

const fits = new Ajv2020({
  strict: true,
  strictTuples: false,
  strictTypes: false,
  strictRequired: false,
}).compile(toQueueJobSchema());

const least = { version: 1, stack: 'python-3.13' } as const;
const whole = {
  version: 1,
  stack: `python-3.13@sha256:${'a'.repeat(64)}`,
  code: 'mailer@rev:3',
  command: ['python3', 'main.py'],
  env: { A: 'ü' },
  payload: '{"to":"you"}',
  configBase64: 'AAEC',
  memory: '256m',
  memoryRetry: '1g',
  timeout: '10m',
  retries: 10,
  retryDelay: '1m30s',
  backoff: 'exponential',
  outputs: ['report-*.pdf', '/task/log/.'],
  labels: { 'team/app': 'x' },
  scheduleId: 'nightly',
  cancelled: { at: '2026-01-31T12:00:00.123Z', by: 'root@host' },
} satisfies JobData;

/** The error of a job that is refused; fails for one that is not. */
function refusal(data: unknown): StackshimError {
  try {
    parseJobData(data);
  } catch (error) {
    if (error instanceof StackshimError) return error;
    throw error;
  }
  return expect.fail(`was taken: ${JSON.stringify(data)?.slice(0, 200)}`);
}

function requireWritten(path: string, toText: (before: string) => string): void {
  const before = readFileSync(at(path), { encoding: 'utf8', flag: 'a+' });
  const expected = toText(before);
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(at(path), expected);
  expect(readFileSync(at(path), 'utf8')).toBe(expected);
}

describe('a job', () => {
  it.each([least, whole, { version: 1, code: 'mailer' }] as const)(
    'is taken unchanged: %#',
    (job) => {
      expect(parseJobData(job)).toEqual(job);
      expect(fits(job)).toBe(true);
    },
  );

  it('gives the bytes of its payload and its config', () => {
    expect(jobBytes({})).toEqual({});
    expect(jobBytes({ payload: 'ü', configBase64: 'AAEC' })).toEqual({
      payload: Buffer.from('ü'),
      config: Buffer.from([0, 1, 2]),
    });
    expect(jobBytes({ payload: '', configBase64: '' })).toEqual({
      payload: Buffer.alloc(0),
      config: Buffer.alloc(0),
    });
  });

  it.each([
    ['job', null],
    ['job', 'text'],
    ['job', []],
    ['version', { stack: 's' }],
    ['version', { ...least, version: '1' }],
    ['version', { ...least, version: 2 }],
    ['stack', { version: 1 }],
    ['stack', { version: 1, stack: 'a/b' }],
    ['stack', { version: 1, stack: 7 }],
    ['code', { ...least, code: '/etc' }],
    ['code', { ...least, code: '../x' }],
    ['code', { ...least, code: 'x.zip' }],
    ['code', { ...least, code: '.' }],
    ['colour', { ...least, colour: 1 }],
    ['retries', { ...least, retries: 11 }],
    ['retries', { ...least, retries: -1 }],
    ['retries', { ...least, retries: 1.5 }],
    ['retryDelay', { ...least, retryDelay: 'soon' }],
    ['retryDelay', { ...least, retryDelay: '1000h' }],
    ['backoff', { ...least, backoff: 'linear' }],
    ['memoryRetry', { ...least, memoryRetry: '1k' }],
    ['memoryRetry', { ...least, memory: '1g', memoryRetry: '1g' }],
    ['payload', { ...least, payload: { a: 1 } }],
    ['payload', { ...least, payload: 'a', payloadBase64: 'YQ==' }],
    ['config', { ...least, config: 'a', configBase64: 'YQ==' }],
    ['payloadBase64', { ...least, payloadBase64: 'YQ' }],
    ['payloadBase64', { ...least, payloadBase64: 'Y_==' }],
    ['payload', { ...least, payload: 'a\0b' }],
    ['payload', { ...least, payload: 'a\ud800b' }],
    ['labels', { ...least, labels: { a: '\udc00' } }],
    ['outputs[0]', { ...least, outputs: ['a:/etc'] }],
    ['outputs[1]', { ...least, outputs: ['a', '../b'] }],
    ['outputs[0]', { ...least, outputs: ['/proc/1'] }],
    ['outputs', { ...least, outputs: 'a' }],
    ['outputs[0]', { ...least, outputs: [{ source: 'a', destination: '/' }] }],
    ['scheduleId', { ...least, scheduleId: 'a b' }],
    ['cancelled.at', { ...least, cancelled: { at: 'now' } }],
    ['cancelled.at', { ...least, cancelled: {} }],
    ['cancelled', { ...least, cancelled: true }],
    ['timeout', { ...least, timeout: 'never' }],
  ])('is refused for an invalid %s: %#', (field, data) => {
    const error = refusal(data);
    expect(error).toMatchObject({ code: 'ERR_STACKSHIM_SPEC_INVALID', details: { field } });
    expect(error.message.length).toBeLessThan(600);
  });

  it.each([
    ['payload', { payload: 'ü'.repeat(32_769) }],
    ['payload', { payloadBase64: Buffer.alloc(65_537).toString('base64') }],
    ['config', { config: 'a'.repeat(65_537) }],
    ['timeout', { timeout: '3601s' }],
    ['timeout', { timeout: 3_600_001 }],
  ])('is denied a %s above the policy: %#', (field, more) => {
    expect(refusal({ ...least, ...more })).toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_DENIED',
      details: { field },
    });
  });

  it('may have as much as the policy says', () => {
    const terms = {
      ...DEFAULT_POLICY.jobs,
      payloadBytes: 100_000,
      retries: 1,
      timeoutMs: 7_200_000,
    };
    const data = { ...least, payload: 'a'.repeat(100_000), timeout: '2h', retries: 1 };
    expect(parseJobData(data, terms)).toEqual(data);
    expect(() => parseJobData({ ...least, retries: 2 }, terms)).toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_SPEC_DENIED' }),
    );
    parseJobData({
      ...least,
      payload: 'a'.repeat(65_536),
      timeout: '1h',
      config: 'a'.repeat(65_536),
    });
  });

  const forbidden = OPTION_ROWS.filter(
    ([field, { jobs }]) => jobs !== true && !isOwnJobField(field),
  );
  const values = { tty: true, network: 'none', mounts: [], id: 'a', tenant: 'b' };
  it.each(forbidden.filter(([field]) => field in values))(
    'may not set %s, which the error names',
    (field) => {
      const data = { ...least, [field]: Reflect.get(values, field) };
      expect(refusal(data)).toMatchObject({
        code: 'ERR_STACKSHIM_SPEC_DENIED',
        details: { field },
      });
      expect(fits(data)).toBe(false);
    },
  );

  it('may set no field that jobs may not set', () => {
    const properties = Object.keys(toQueueJobSchema().properties);
    for (const [field] of forbidden) expect(properties).not.toContain(field);
  });

  it('cannot reach a prototype, and is not walked when it is deep or wide', () => {
    for (const text of [
      '{"__proto__":{"stack":"s"},"version":1}',
      '{"version":1,"stack":"s","env":{"__proto__":"a"}}',
      '{"version":1,"stack":"s","labels":{"__proto__":"a"}}',
      '{"version":1,"stack":"s","constructor":1}',
      '{"version":1,"stack":"s","toString":1}',
      `{"version":1,"stack":"s","payload":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
      `{"version":1,"stack":"s","cancelled":${'{"at":'.repeat(50_000)}1${'}'.repeat(50_000)}}`,
      `{"version":1,"stack":"s","command":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
    ]) {
      expect(refusal(JSON.parse(text)).kind).toBe('invalid');
    }
    expect(Reflect.get({}, 'stack')).toBeUndefined();
    const wide = Object.fromEntries(Array.from({ length: 200_000 }, (_, i) => [`f${i}`, 1]));
    expect(refusal({ ...wide, ...least })).toMatchObject({ details: { field: 'f0' } });
  });

  it('is read once', () => {
    let looks = 0;
    const data = { ...least };
    Object.defineProperty(data, 'payload', {
      enumerable: true,
      get: () => (looks++ === 0 ? 'a' : 'a'.repeat(100_000)),
    });
    expect(parseJobData(data).payload).toBe('a');
    expect(looks).toBe(1);
    const thrower = Object.defineProperty({ ...least }, 'env', {
      enumerable: true,
      get() {
        throw new TypeError('hostile');
      },
    });
    expect(refusal(thrower).kind).toBe('invalid');
  });

  it('agrees with its schema on random data', () => {
    const field = fc.constantFrom(...Object.keys(toQueueJobSchema().properties), 'x', 'tenant');
    const value = fc.oneof(
      fc.constantFrom(...Object.values(whole)),
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom(0, 1, 5, '64m', '10s', 'fixed', true, [], ['a'], {}, { a: 'b' }, 'YQ=='),
    );
    const changes = fc.array(fc.tuple(field, value), { maxLength: 3 });
    let taken = 0;
    fc.assert(
      fc.property(changes, (made) => {
        const data: unknown = JSON.parse(JSON.stringify({ ...least, ...Object.fromEntries(made) }));
        try {
          parseJobData(data);
        } catch (error) {
          expect(error).toBeInstanceOf(StackshimError);
          expect(error).not.toMatchObject({ kind: 'internal' });
          return;
        }
        taken += 1;
        expect(fits(data), JSON.stringify(fits.errors)).toBe(true);
      }),
      { numRuns: 3000, seed: 20_260_101 },
    );
    expect(taken).toBeGreaterThan(300);
  });

  it('that is any value at all gives a job or an error of moderate length', () => {
    fc.assert(
      fc.property(
        fc.anything({ withNullPrototype: true, withMap: true, withBigInt: true }),
        (data) => {
          const error = refusal(data);
          expect(error.message.length).toBeLessThan(600);
        },
      ),
      { numRuns: 2000, seed: 20_260_102 },
    );
  });
});

it('schemas/queue-job.schema.json is up to date: UPDATE_DOCS=1 npx vitest run test/unit/worker/parse-job.test.ts', () => {
  requireWritten(
    'schemas/queue-job.schema.json',
    () => `${JSON.stringify(toQueueJobSchema(), null, 2)}\n`,
  );
});

it('docs/producers.md is up to date: UPDATE_DOCS=1 npx vitest run test/unit/worker/parse-job.test.ts', () => {
  requireWritten('docs/producers.md', (before) =>
    replaceBetween(before, 'fields', toQueueJobTable()),
  );
});
