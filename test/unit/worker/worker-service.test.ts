/** A worker as a service, with a worker that only says how it is. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { queueLines, toTextLine } from '../../../src/cli/queues/worker-log-output.ts';
import type { QueueWorker } from '../../../src/worker/create-worker.ts';
import { type ServiceOptions, startService } from '../../../src/worker/ops/run-service.ts';
import { watchPulse } from '../../../src/worker/ops/watch-pulse.ts';
import type { WorkerStatus } from '../../../src/worker/worker-events.ts';
import { type NotifySocket, openNotifySocket } from '../../support/host/notify-socket.ts';
import { workerStatus as status } from '../support/worker-status.ts';

let folder: string;
let manager: NotifySocket;
let lines: string[];

beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/stackshim-service-`);
  manager = openNotifySocket(`${folder}/notify`);
  lines = [];
});
afterEach(() => {
  manager.close();
  rmSync(folder, { recursive: true });
});

const optionsOf = (start: ServiceOptions['start']): ServiceOptions => ({
  lockMs: 30_000,
  logLevel: 'info',
  writeLog: (line) => void lines.push(line),
  env: { NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: '40000' },
  warnings: [{ code: 'password_visible', message: 'seen' }],
  start,
});

function stubWorker(now: () => WorkerStatus = () => status) {
  let end: () => void = () => undefined;
  const drained = new Promise<void>((resolve) => {
    end = resolve;
  });
  const calls: string[] = [];
  const worker: QueueWorker = {
    status: now,
    drain() {
      calls.push('drain');
      return drained;
    },
    hasten() {
      calls.push('hasten');
      end();
    },
  };
  return { worker, calls, end: () => end() };
}

describe('startService', () => {
  it('tells the manager when the worker takes jobs, that it lives, and that it ends', async () => {
    const stub = stubWorker();
    const service = await startService(optionsOf(() => Promise.resolve(stub.worker)));
    expect(manager.receive()).toBe('READY=1\nSTATUS=1 jobs running, 3 lanes');
    await expect.poll(() => manager.receiveAll()).toContain('WATCHDOG=1');
    const ended = service.stop();
    const said = manager.receiveAll();
    expect(said).toContain('STOPPING=1\nSTATUS=draining');
    expect(said).toContain('EXTEND_TIMEOUT_USEC=30000000');
    // It is still watched while it drains.
    await expect.poll(() => manager.receiveAll()).toContain('WATCHDOG=1');
    stub.end();
    await ended;
    expect(stub.calls).toEqual(['drain']);
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['seen']);
  });

  it('shortens the drain when it is hastened', async () => {
    const stub = stubWorker();
    const service = await startService(optionsOf(() => Promise.resolve(stub.worker)));
    const stopped = service.stop();
    service.hasten();
    await stopped;
    expect(stub.calls).toEqual(['drain', 'hasten']);
  });

  it('lets the watchdog bite when locks are not renewed, and not when the store is away', async () => {
    let now: WorkerStatus = { ...status, lastRenewalAt: null };
    const stub = stubWorker(() => now);
    const options = { ...optionsOf(() => Promise.resolve(stub.worker)), lockMs: -1 };
    const service = await startService(options);
    await expect.poll(() => manager.receiveAll().length).toBeGreaterThan(0);
    const heard = () => manager.receiveAll().includes('WATCHDOG=1');
    expect(heard()).toBe(false);
    now = { ...now, isStoreReachable: false };
    await expect.poll(heard).toBe(true);
    stub.end();
    await service.stop();
  });

  it('leaves nothing open when the worker cannot start', async () => {
    const health = { kind: 'unix', path: `${folder}/health` } as const;
    const options = optionsOf(() => Promise.reject(new Error('no store')));
    await expect(startService({ ...options, health })).rejects.toThrow('no store');
    expect(manager.receiveAll()).toEqual([]);
    const stub = stubWorker();
    const service = await startService({
      ...optionsOf(() => Promise.resolve(stub.worker)),
      health,
    });
    stub.end();
    await service.stop();
  });
});

describe('watchPulse', () => {
  const at = (ms: number) => new Date(ms).toISOString();

  it('expects renewals only of a worker that has jobs and a store', () => {
    let now = 1_000_000;
    const isWell = watchPulse(1000, () => now);
    const idle = { running: 0, isStoreReachable: true, lastRenewalAt: at(0) };
    expect(isWell(idle)).toBe(true);
    const busy = { ...idle, running: 1 };
    expect(isWell(busy)).toBe(true);
    now += 1000;
    expect(isWell(busy)).toBe(true);
    now += 1;
    expect(isWell(busy)).toBe(false);
    expect(isWell({ ...busy, lastRenewalAt: at(now) })).toBe(true);
    expect(isWell({ ...busy, isStoreReachable: false })).toBe(true);
    // From here on it has the time of a lock again.
    expect(isWell(busy)).toBe(true);
  });
});

describe('the output of the log', () => {
  it('writes lines in their order, and drops what nobody reads', async () => {
    const written: string[] = [];
    let proceed: () => void = () => undefined;
    const sink = {
      write: (bytes: Uint8Array) =>
        new Promise<void>((resolve) => {
          written.push(Buffer.from(bytes).toString());
          proceed = resolve;
        }),
    };
    const output = queueLines(sink, (line) => line);
    const kibibyte = `${'x'.repeat(1023)}\n`;
    output.write('first\n');
    for (let count = 0; count < 3000; count += 1) output.write(kibibyte);
    const flushed = output.flush();
    proceed();
    await expect.poll(() => written).toHaveLength(2);
    expect(written[0]).toBe('first\n');
    expect(written[1]?.length).toBeLessThan(1_100_000);
    output.write('last\n');
    proceed();
    await expect.poll(() => written).toHaveLength(3);
    proceed();
    await flushed;
    const [lost = '', last] = written[2]?.split('\n') ?? [];
    const dropped = 3000 - (written[1]?.length ?? 0) / 1024;
    expect(JSON.parse(lost)).toMatchObject({ event: 'log_lost', lines: dropped });
    expect(last).toBe('last');
  });

  it('goes on when it cannot be written', async () => {
    const output = queueLines({ write: () => Promise.reject(new Error('disk full')) }, (l) => l);
    output.write('a\n');
    await output.flush();
    output.write('b\n');
    await output.flush();
  });

  it('is text for a person, and controls no terminal', () => {
    const line = JSON.stringify({
      level: 'warn',
      time: '2026-01-02T03:04:05.678Z',
      msg: 'x\u001b[2J\u202e\ny',
    });
    expect(toTextLine(line)).toBe('03:04:05 warn  x\\u{1b}[2J\\u{202e}\\ny\n');
  });
});
