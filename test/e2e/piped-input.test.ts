/** `run --code -` and `run --payload -`: a task's code and payload from standard input, bounded, and gone afterwards. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { openStackshim } from '../../src/index.ts';
import { STACKSHIM } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { buildTar } from '../support/images/tar-builder.ts';
import { buildZip } from '../support/images/zip-builder.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import { expectRefusal } from './support/refusal.ts';

const { installation, run, folder, setPolicy } = useTaskRunner();
const { env, layout, options } = installation;
const received = () => readdirSync(`${layout.root}/tmp`);

afterEach(() => {
  setPolicy(null);
  expect(received()).toEqual([]);
});

const PROGRAM = { path: 'main.sh', content: '#!/bin/sh\nls -A /task; pwd; cat "$PAYLOAD_FILE"\n' };
const TAR = gzipSync(buildTar({ ...PROGRAM, mode: 0o755 }));
/** No text: not valid UTF-8, with a NUL. */
const BYTES = Buffer.from([0xff, 0xfe, 0, 10, 0x80]);
const reading = sh('od -An -tx1 "$PAYLOAD_FILE" | tr -d " \\n"');

describe('--payload -', () => {
  it('passes any bytes, an empty input, and up to 16 MiB', async () => {
    const { stdout, record } = await run(['--payload', '-'], reading, { input: BYTES });
    expect(stdout).toBe(BYTES.toString('hex'));
    expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
    expect((await run(['--payload=-'], sh('wc -c < "$PAYLOAD_FILE"'))).stdout.trim()).toBe('0');
    const input = Buffer.alloc(16 * 1024 ** 2, 'x');
    const large = await run(['--payload', '-'], sh('wc -c < "$PAYLOAD_FILE"'), { input });
    expect(large.stdout.trim()).toBe(String(input.length));
    const more = Buffer.concat([input, Buffer.from('x')]);
    expectRefusal(
      await run(['--payload', '-'], ['true'], { input: more }),
      'ERR_STACKSHIM_SPEC_INVALID',
    );
  });

  it('leaves the standard input of the task empty', async () => {
    const { stdout } = await run(['--payload', '-'], sh('cat; cat "$PAYLOAD_FILE"'), {
      input: 'x',
    });
    expect(stdout).toBe('x');
  });

  it('is not asked for by the policy, which bounds paths', async () => {
    setPolicy({ allow: { inputs: ['/nowhere'] } });
    expect((await run(['--payload', '-'], reading, { input: 'a' })).stdout).toBe('61');
    expect((await run(['--code', '-'], ['./main.sh'], { input: TAR })).stdout).toContain('/task');
    const file = join(folder, 'payload');
    writeFileSync(file, 'a');
    expectRefusal(await run(['--payload-file', file], ['true']), 'ERR_STACKSHIM_SPEC_DENIED');
  });
});

describe('--code -', () => {
  it('takes a .tar.gz and a .zip', async () => {
    const payload = ['--payload', 'p'];
    for (const input of [
      TAR,
      buildZip({ name: PROGRAM.path, content: PROGRAM.content, mode: 0o100755 }),
    ]) {
      const { stdout, record } = await run(['--code', '-', ...payload], ['./main.sh'], { input });
      expect(stdout).toBe('main.sh\n/task\np');
      expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
    }
  });

  it('refuses what is no archive, before there is a task', async () => {
    for (const input of ['', 'text', execFileSync('tar', ['-c', '-C', folder, '.'])]) {
      const result = await run(['--code', '-'], ['true'], { input });
      expectRefusal(result, 'ERR_STACKSHIM_CODE_INVALID');
      expect(result.record).toBeUndefined();
    }
  });

  it('refuses a damaged or hostile archive', async () => {
    const cut = await run(['--code', '-'], ['true'], { input: TAR.subarray(0, -10) });
    expect(cut.record).toMatchObject({ ...CLEAN, verdict: 'setup_failed', retryable: false });
    const input = gzipSync(buildTar({ path: '../x', content: 'x' }));
    const { record } = await run(['--code', '-'], ['true'], { input });
    expect(record).toMatchObject({ ...CLEAN, error: { code: 'ERR_STACKSHIM_CODE_INVALID' } });
  });
});

describe('standard input', () => {
  it.each([
    ['--code', '-', '--payload', '-'],
    ['--code', '-', '-i'],
    ['--payload', '-', '--interactive'],
    ['--payload', '-', '--payload-file', '/etc/hostname'],
  ])('has one use: %s', async (...given) => {
    expectRefusal(await run(given, ['true'], { input: TAR }), 'ERR_STACKSHIM_SPEC_INVALID');
  });

  it.each(['--code', '--payload'])('that never ends is left by Ctrl-C, with %s', async (option) => {
    const child = spawn(STACKSHIM, ['run', option, '-', 'busybox', 'true'], {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    const stderr = child.stderr.toArray();
    child.stdin.write('PK\x03\x04');
    await waitUntil(() => received().length > 0);
    child.kill('SIGINT');
    const [status] = await once(child, 'exit');
    expect(status).toBe(125);
    expect(Buffer.concat(await stderr).toString()).toContain('ERR_STACKSHIM_TASK_ABORTED');
  });
});

describe('the library', () => {
  const stackshim = openStackshim(options);

  it('takes bytes and streams, also for data from a queue', async () => {
    const task = { stack: 'busybox', command: ['./main.sh'] };
    const given = { code: Readable.from([TAR.subarray(0, 40), TAR.subarray(40)]), payload: BYTES };
    const result = await stackshim.run(task, { ...given, origin: 'job', capture: true });
    expect(result).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
    expect(result.output.stdout).toMatch(/^main\.sh\n\/task\n/);
  });

  it('removes what it received once the container has it', async () => {
    let left: readonly string[] | undefined;
    const command = ['sh', '-c', 'read -r line < /task/main.sh'];
    await stackshim.run(
      { stack: 'busybox', command },
      {
        code: TAR,
        async onEvent({ type }) {
          if (type !== 'created') return;
          await waitUntil(() => received().length === 0);
          left = received();
        },
      },
    );
    expect(left).toEqual([]);
  });

  it('refuses what is no stream, and what comes twice', async () => {
    const task = { stack: 'busybox', command: ['true'] };
    const code = join(folder, 'code');
    mkdirSync(code);
    for (const [input, more] of [
      [task, { payload: 'text' }],
      [task, { payload: 5 }],
      [task, { payload: Readable.from([5]) }],
      [{ ...task, code }, { code: TAR }],
      [{ ...task, payload: 'x' }, { payload: BYTES }],
    ] as const) {
      await expect(stackshim.run(input, more as object)).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_SPEC_INVALID',
      });
    }
    const silent = new Readable({ read: () => undefined });
    await expect(
      stackshim.run(task, { payload: silent, deadline: Date.now() + 50 }),
    ).rejects.toMatchObject({ code: 'ERR_STACKSHIM_TASK_ABORTED' });
    const failing = new Readable({
      read() {
        this.destroy(new Error('gone'));
      },
    });
    await expect(stackshim.run(task, { code: failing })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_INPUT_NOT_FOUND',
    });
  });
});
