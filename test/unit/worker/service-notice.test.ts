/** What the service manager hears of a worker: sd_notify(3). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sendDatagram } from '../../../src/sys/send-datagram.ts';
import { openServiceNotice } from '../../../src/worker/ops/service-notice.ts';
import { type NotifySocket, openNotifySocket } from '../../support/host/notify-socket.ts';

let folder: string;
let socket: NotifySocket;

beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/stackshim-notify-`);
  socket = openNotifySocket(`${folder}/notify`);
});
afterEach(() => {
  socket.close();
  rmSync(folder, { recursive: true });
});

describe('openServiceNotice', () => {
  it('sends what the manager understands', () => {
    const notice = openServiceNotice({ NOTIFY_SOCKET: socket.path });
    notice.ready('2 jobs running\nREADY=0');
    notice.alive();
    notice.needsTime(1500.5);
    notice.stopping('draining');
    expect(socket.receiveAll()).toEqual([
      'READY=1\nSTATUS=2 jobs running READY=0',
      'WATCHDOG=1',
      'EXTEND_TIMEOUT_USEC=1500500',
      'STOPPING=1\nSTATUS=draining',
    ]);
  });

  it('reaches a socket of the abstract namespace', () => {
    const name = `@stackshim-test-${process.pid}`;
    const abstract = openNotifySocket(name);
    openServiceNotice({ NOTIFY_SOCKET: name }).alive();
    expect(abstract.receiveAll()).toEqual(['WATCHDOG=1']);
    abstract.close();
  });

  it.each([
    ['no manager', {}],
    ['an empty name', { NOTIFY_SOCKET: '' }],
    ['a name of another kind', { NOTIFY_SOCKET: 'vsock:2:1234' }],
    ['nobody there', { NOTIFY_SOCKET: '/nonexistent/notify' }],
    ['a name that is too long', { NOTIFY_SOCKET: `/${'x'.repeat(200)}` }],
  ])('does nothing with %s', (_, env) => {
    expect(() => openServiceNotice(env).ready('x')).not.toThrow();
  });

  it('never waits for a manager that reads nothing', () => {
    const notice = openServiceNotice({ NOTIFY_SOCKET: socket.path });
    for (let count = 0; count < 2000; count += 1) notice.alive();
    expect(socket.receive()).toBe('WATCHDOG=1');
  });

  it.each([
    ['30000000', undefined, 30_000],
    ['30000000', String(process.pid), 30_000],
    ['30000000', '1', undefined],
    ['0', undefined, undefined],
    ['soon', undefined, undefined],
    [undefined, undefined, undefined],
  ])('WATCHDOG_USEC %s for process %s is a watchdog of %s ms', (period, pid, ms) => {
    const env = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: period, WATCHDOG_PID: pid };
    expect(openServiceNotice(env).watchdogMs).toBe(ms);
  });
});

describe('sendDatagram', () => {
  it('names the address that nobody listens at', () => {
    expect(() => sendDatagram(`${folder}/nobody`, 'x')).toThrow(/ENOENT/);
  });
});
