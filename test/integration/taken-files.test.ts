/** Outputs of the library: the stream of a caller, and a caller that does not wait. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, expect, it } from 'vitest';
import { runTask } from '../../src/index.ts';
import { useInstallation } from '../support/installation/installation.ts';

const { options } = useInstallation();
const folder = mkdtempSync('/var/tmp/stackshim-taken-');
afterAll(() => rmSync(folder, { recursive: true }));

const LARGE_BYTES = 3_000_000;
const command = ['sh', '-c', `head -c ${LARGE_BYTES} /dev/urandom > /large`];
const outputs = [{ source: '/large', destination: '-' }];
const REMOVED = { removed: true, leftovers: [] };

it('a stream gets the tar, and is not ended', async () => {
  const stream = new PassThrough();
  const read = buffer(stream);
  const task = { stack: 'busybox', command, outputs };
  const result = await runTask(task, { ...options, outputStream: stream });
  expect(result).toMatchObject({ ...REMOVED, error: null, outputs: [{ bytes: LARGE_BYTES }] });
  expect(stream.writableEnded).toBe(false);
  stream.end();
  expect((await read).length).toBe(Math.ceil(LARGE_BYTES / 512) * 512 + 3 * 512);
});

it('an output to a stream needs one', async () => {
  await expect(runTask({ stack: 'busybox', command, outputs }, options)).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_SPEC_INVALID',
    message: expect.stringContaining('outputs[0]'),
  });
});

it('a stream that takes nothing is left when the caller asks for the end', async () => {
  const stop = new AbortController();
  const outputStream = {
    write() {
      stop.abort();
      return new Promise<void>(() => undefined);
    },
  };
  const task = { stack: 'busybox', command, outputs };
  const result = await runTask(task, { ...options, outputStream, signal: stop.signal });
  expect(result).toMatchObject({
    ...{ ...REMOVED, verdict: 'succeeded', retryable: true },
    error: { code: 'ERR_STACKSHIM_OUTPUT_FAILED', message: 'take /large: stopped by the caller' },
    outputs: [{ state: 'failed' }],
  });
});

it('a stream that fails fails the output', async () => {
  const outputStream = {
    write() {
      throw new Error('broken');
    },
  };
  const task = { stack: 'busybox', command, outputs };
  const result = await runTask(task, { ...options, outputStream });
  expect(result).toMatchObject({
    ...REMOVED,
    error: { code: 'ERR_STACKSHIM_OUTPUT_FAILED', message: 'take /large: broken' },
  });
});

it('a task that cannot be started has nothing to take', async () => {
  const task = { stack: 'busybox', command: ['/no/such'], outputs: [`/etc:${folder}`] };
  const result = await runTask(task, options);
  expect(result).toMatchObject({
    ...{ ...REMOVED, verdict: 'setup_failed', outputs: [{ state: 'missing' }] },
    error: { code: 'ERR_STACKSHIM_COMMAND_NOT_FOUND' },
  });
  expect(existsSync(`${folder}/etc`)).toBe(false);
});

it('a task that is removed later gives its files first', async () => {
  const task = { stack: 'busybox', command, outputs: [`/large:${folder}`] };
  let isRemoved: (removed: boolean) => void = () => undefined;
  const removed = new Promise((resolve) => {
    isRemoved = resolve;
  });
  const result = await runTask(
    { ...task, remove: 'async' },
    {
      ...options,
      onEvent(event) {
        if (event.type === 'removed') isRemoved(event.removed);
      },
    },
  );
  expect(result.outputs).toMatchObject([{ state: 'complete' }]);
  expect(existsSync(`${folder}/large`)).toBe(true);
  expect(await removed).toBe(true);
});
