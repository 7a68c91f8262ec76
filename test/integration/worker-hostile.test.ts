/** Jobs that nobody meant well, or that only a producer with the store's password can write: each ends, and the next one runs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { openDoor } from '../../src/door/open-stackshim.ts';
import { openStackshim } from '../../src/index.ts';
import { DEFAULT_POLICY } from '../../src/spec/policy.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { startRedis } from '../support/stores/start-redis.ts';
import { useJobLabs } from './support/job-labs.ts';
import { STORE_KINDS, startJobStore } from './support/job-stores.ts';

const { options } = useInstallation([/^process \d+ postgres /]);

const TRUE = { version: 1, stack: 'busybox', command: ['true'] };

describe.each(STORE_KINDS)('on %s', (kind) => {
  const bed = useJobLabs(() => startJobStore(kind), options);

  it.each([
    ['nothing', null, 'ERR_STACKSHIM_SPEC_INVALID'],
    ['a list', [], 'ERR_STACKSHIM_SPEC_INVALID'],
    ['a text', 'run me', 'ERR_STACKSHIM_SPEC_INVALID'],
    ['another version', { ...TRUE, version: 2 }, 'ERR_STACKSHIM_SPEC_INVALID'],
    ['an unknown field', { ...TRUE, nice: true }, 'ERR_STACKSHIM_SPEC_INVALID'],
    ['a path of the host', { ...TRUE, volumes: ['/:/host'] }, 'ERR_STACKSHIM_SPEC_DENIED'],
    ['code by its path', { ...TRUE, code: '/etc' }, 'ERR_STACKSHIM_SPEC_INVALID'],
    ['a tenant', { ...TRUE, tenant: 'acme' }, 'ERR_STACKSHIM_SPEC_DENIED'],
    ['an id', { ...TRUE, id: 'mine' }, 'ERR_STACKSHIM_SPEC_DENIED'],
    ['a timeout out of range', { ...TRUE, timeout: '2h' }, 'ERR_STACKSHIM_SPEC_DENIED'],
    ['retries out of range', { ...TRUE, retries: 11 }, 'ERR_STACKSHIM_SPEC_INVALID'],
    ['a payload too large', { ...TRUE, payload: 'x'.repeat(70_000) }, 'ERR_STACKSHIM_SPEC_DENIED'],
    ['base64 that is none', { ...TRUE, payloadBase64: '&' }, 'ERR_STACKSHIM_SPEC_INVALID'],
    [
      'a prototype',
      JSON.parse('{"version":1,"__proto__":{"stack":"busybox"}}'),
      'ERR_STACKSHIM_SPEC_INVALID',
    ],
    [
      'outputs without a folder for them',
      { ...TRUE, outputs: ['/x'] },
      'ERR_STACKSHIM_JOB_REFUSED',
    ],
  ])('a job with %s is refused', async (_, data, code) => {
    const lab = bed.openLab();
    const job = await lab.runToEnd(data);
    expect(job.result).toMatchObject({
      state: 'error',
      retryable: false,
      error: { code },
      task: null,
    });
    expect(job.failedReason).toMatch(/^error: /);
    expect((await lab.runToEnd(TRUE)).result?.state).toBe('complete');
    expect(lab.warnings).toEqual([]);
  });

  it('a value that is nested deep is refused', async () => {
    const lab = bed.openLab();
    const deep = `${'['.repeat(4_000)}${']'.repeat(4_000)}`;
    const id = await lab.addText(`{"version":1,"stack":"busybox","env":${deep}}`);
    expect((await lab.endOf(id)).result?.error?.code).toBe('ERR_STACKSHIM_SPEC_INVALID');
  });

  it('a job that must fail by what the store says fails', async () => {
    const lab = bed.openLab();
    await lab.add(TRUE);
    const taken = await lab.take();
    if (taken === undefined) throw new Error('nothing taken');
    taken.job.deferredFailure = `a reason with \ud800 and \0, ${'long '.repeat(1_000)}`;
    await lab.runner.handle(taken);
    expect((await lab.read(taken.id)).result?.error?.code).toBe('ERR_STACKSHIM_JOB_REFUSED');
  });

  it('attempts that no worker wrote are ignored', async () => {
    const lab = bed.openLab();
    await lab.add({ ...TRUE, command: ['false'], retries: 1 });
    const taken = await lab.take();
    if (taken === undefined) throw new Error('nothing taken');
    taken.job.stacktrace = ['{', '{}', '[1]', 'null', '{"state":"constructor"}', 7 as never];
    await lab.runner.handle(taken);
    expect((await lab.read(taken.id)).attempts).toMatchObject([{ state: 'error', attempt: 1 }]);
  });

  it('names and outputs of a task with any bytes can be stored', async () => {
    const lab = bed.openLab();
    const script = 'printf "\\0\\355\\240\\200\\377" | tee $TASK_PROGRESS_FILE; exit 1';
    const job = await lab.runToEnd({ ...TRUE, command: ['sh', '-c', script], payload: 'x' });
    expect(job.result).toMatchObject({ state: 'error', task: { exitCode: 1 } });
    const rows = await lab.logOf(job.id);
    const bytes = Buffer.concat(rows.map(({ b }) => Buffer.from(String(b), 'base64')));
    expect([...bytes]).toEqual([0, 0xed, 0xa0, 0x80, 0xff]);
  });

  it('40 MB of data are never brought to a worker, and their job ends', async () => {
    const lab = bed.openLab();
    const id = await lab.add({ ...TRUE, retries: 3 });
    await bed.server.setData(lab.lane, id, 40_000_000);
    const taken = await lab.take();
    if (taken === undefined) throw new Error('nothing taken');
    expect(JSON.stringify(taken.job.data).length).toBeLessThan(100);
    // A look at the marks of running jobs.
    expect((await lab.backend.getJobData(id))?.data.length).toBeLessThan(100);
    await lab.runner.handle(taken);
    const { result, failedReason } = await lab.read(id);
    expect(result?.error?.code).toBe('ERR_STACKSHIM_JOB_REFUSED');
    expect(failedReason).toMatch(
      /^error: run job: its entry in the store has 40\d{6} bytes, more than 16m$/,
    );
    expect((await lab.runToEnd(TRUE)).result?.state).toBe('complete');
  });

  it('a job near the bound is read whole', async () => {
    const lab = bed.openLab();
    const job = await lab.runToEnd({ ...TRUE, payload: 'x'.repeat(10_000_000) });
    expect(job.result?.error?.code).toBe('ERR_STACKSHIM_SPEC_INVALID');
  });
});

/** Settings of packages above what jobs may ask for. */
const FAR = { retries: { retries: 9 }, timeout: { timeout: '2h' } } as const;

describe('what only Redis can hold', () => {
  const bed = useJobLabs(() => startRedis(), options);
  beforeAll(async () => {
    const code = mkdtempSync('/var/tmp/stackshim-code-');
    writeFileSync(`${code}/main`, 'x');
    const { code: packages } = openStackshim(options);
    for (const [field, settings] of Object.entries(FAR)) {
      await packages.add(`far-${field}`, code, { stack: 'busybox', ...settings });
    }
    rmSync(code, { recursive: true });
  });

  it.each([
    ['parent', '[]'],
    ['parentKey', 'elsewhere'],
    ['deid', 'x'],
    ['opts', '{"attempts":"many","fpof":true}'],
    ['stc', 'many'],
    ['atm', '1e400'],
    ['stacktrace', '{"a":1}'],
    ['priority', 'high'],
  ])('a job whose field %s is %s ends', async (field, value) => {
    const lab = bed.openLab();
    const id = await lab.add({ ...TRUE, retries: 1, command: ['false'] });
    await bed.server.command('HSET', `stackshim:${lab.lane.queue}~~:${id}`, field, value);
    for (let i = 0; i < 3 && !(await lab.hasEnded(id)); i++) await lab.runNext();
    expect(await lab.backend.getState(id)).toBe('failed');
  });

  it.each(Object.keys(FAR))('a package asks for no more %s than a job may', async (field) => {
    const name = `far-${field}`;
    const policy = { ...DEFAULT_POLICY, jobs: { ...DEFAULT_POLICY.jobs, retries: 3 } };
    const door = { run: openDoor(options).run, policy: () => Promise.resolve(policy) };
    const lab = bed.openLab({ context: { door } });
    const job = await lab.runToEnd({ version: 1, code: name, command: ['false'] });
    expect(job.result?.error).toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_DENIED',
      details: { field },
    });
    const less = { version: 1, code: name, command: ['true'], retries: 1, timeout: '10s' };
    expect((await lab.runToEnd(less)).result?.state).toBe('complete');
  });

  it('an id without a job ends as one that is malformed', async () => {
    const lab = bed.openLab();
    await bed.server.command('LPUSH', `stackshim:${lab.lane.queue}~~:wait`, '../../etc/passwd');
    await lab.runNext();
    expect((await lab.read('../../etc/passwd')).result?.error?.code).toBe(
      'ERR_STACKSHIM_JOB_REFUSED',
    );
  });
});
