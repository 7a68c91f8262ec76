/** Parsers of what a store of queues holds: anyone who may write to it wrote it. */
import type { JobJson } from 'bullmq';
import { readRow } from '../../../src/worker/client/read-job-log.ts';
import { parseJobNeeds } from '../../../src/worker/intake/job-needs.ts';
import { parseJobName, parseLaneName } from '../../../src/worker/job/lane.ts';
import { jobBytes, parseJobData } from '../../../src/worker/job/parse-job.ts';
import { readStatus } from '../../../src/worker/job/read-status.ts';
import { parseCatalogueEntry } from '../../../src/worker/queue-store/catalogue-entry.ts';
import { parseStoreUrl } from '../../../src/worker/queue-store/store-url.ts';
import type { FuzzTarget } from '../support/fuzz-target.ts';

const hex = 'a'.repeat(64);

const jobs = [
  { version: 1, stack: 'python-3.13' },
  {
    version: 1,
    code: `mailer@sha256:${hex}`,
    stack: 'python-3.13@rev:3',
    command: ['python3', 'main.py'],
    payload: '{"to":"you"}',
    configBase64: 'AAEC',
    memory: '64m',
    memoryRetry: '1g',
    timeout: '5m',
    retries: 3,
    retryDelay: '30s',
    backoff: 'exponential',
    outputs: ['out-*'],
    labels: { a: 'b' },
    scheduleId: 'nightly',
    cancelled: { at: '2026-01-31T12:00:00Z', by: 'me' },
  },
];

const result = {
  state: 'killed',
  attempt: 2,
  error: { code: 'ERR_STACKSHIM_INTERNAL', kind: 'internal', message: 'm', hint: 'h', details: {} },
  retryable: false,
  startedAt: '2026-01-31T12:00:00Z',
  finishedAt: '2026-01-31T12:00:01Z',
  worker: 'host/1',
  code: null,
  progress: 'half',
  artefacts: [{ path: 'a', sizeBytes: 1 }],
  task: { id: 't', verdict: 'oom_killed' },
};

const records = ['waiting', 'active', 'completed', 'failed', 'delayed'].map((list) => ({
  list,
  json: {
    data: JSON.stringify(jobs[1]),
    progress: {
      state: 'running',
      attempt: 1,
      worker: 'w',
      task: 't',
      startedAt: null,
      progress: '',
    },
    timestamp: 1_769_860_800_000,
    delay: 1000,
    attemptsMade: 1,
    finishedOn: 1_769_860_801_000,
    failedReason: 'killed',
    returnvalue: JSON.stringify({ ...result, state: 'complete' }),
    stacktrace: JSON.stringify([JSON.stringify(result)]),
  },
}));

const lane = { queue: 'mail', tenant: undefined, code: undefined };
const needs = { memoryBytes: 1, diskBytes: 1, cpus: 1 };

export const queueTargets = (): readonly FuzzTarget[] => [
  {
    name: 'jobs of a queue',
    form: 'value',
    samples: jobs,
    weight: 3,
    words: ['version', 'payloadBase64', 'mounts', '__proto__', 'exponential', '\ud800', '\0', '..'],
    run: (value) => jobBytes(parseJobData(value)),
  },
  {
    name: 'records of jobs',
    form: 'value',
    samples: records,
    weight: 2,
    words: ['complete', 'cancelled', 'artefacts', '[[', '__proto__', 'state'],
    run(value) {
      const { json, list } = Object(value) as { readonly json?: unknown; readonly list?: unknown };
      const status = readStatus(
        { lane, id: 'a' },
        { json: Object(json) as JobJson, list: String(list) },
      );
      return JSON.stringify(status);
    },
  },
  {
    name: 'rows of jobs’ logs',
    form: 'text',
    samples: ['{"a":1,"t":1769860800000,"s":"out","d":"x"}', '{"a":2,"t":0,"s":"err","b":"/wo="}'],
    words: ['"out"', '1e309', '-1', '"b"'],
    run: readRow,
  },
  {
    name: 'names of jobs and lanes',
    form: 'text',
    samples: ['mail~acme~mailer~abc', 'mail~~~repeat:nightly:1769860800000'],
    words: ['~', ':', '..', '/'],
    run: (text) => [parseLaneName(text), parseJobName(text)],
  },
  {
    name: 'stored names of jobs',
    form: 'text',
    samples: ['v1', 'v1 268435456 - 0.5'],
    words: [' ', '-', '1e9'],
    run: (text) => parseJobNeeds(text, needs),
  },
  {
    name: 'entries of the catalogue',
    form: 'text',
    samples: [`{"digest":"sha256:${hex}","since":"2026-01-31T12:00:00Z","stack":"s","retries":1}`],
    words: ['__proto__', 'maxConcurrency'],
    run: parseCatalogueEntry,
  },
  {
    name: 'URLs of stores',
    form: 'text',
    samples: ['redis://user:secret@host:6379/0', 'postgres://u:p@host/db?sslmode=require'],
    words: ['%zz', 'rediss://', '[::1]', '?cacert='],
    run: parseStoreUrl,
  },
];
