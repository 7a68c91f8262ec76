/** Processes by pidfd: pidfd_open(2), pidfd_send_signal(2), poll(2), waitid(2), epoll(7), prctl(2), fchdir(2), flock(2), openat2(2). */
import { constants } from 'node:os';
import { ffi } from '#ffi';
import { callAside, invoke, invokeUnless } from './invoke.ts';
import { type Fd, type ProcessExit, type System, SystemError } from './system.ts';

const SYS = { pidfd_send_signal: 424, pidfd_open: 434, openat2: 437 } as const;
const PR_SET_CHILD_SUBREAPER = 36;
const P_PID = 1;
const P_PIDFD = 3;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x100_0000;
/** siginfo_t: si_code at 8, si_pid at 16, si_status at 24. */
const SIGINFO_SIZE = 128;
const CLD_EXITED = 1;
const EPOLL_CLOEXEC = 0x8_0000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLLIN = 1;
const POLLIN = 1;
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const O_CLOEXEC = 0x8_0000;
const O_NONBLOCK = 0x800;
const RESOLVE_NO_MAGICLINKS = 0x2;
const RESOLVE_IN_ROOT = 0x10;
/** struct epoll_event is packed only on x86-64. */
const epollEvent = process.arch === 'x64' ? { size: 12, data: 4 } : { size: 16, data: 8 };

type ProcessCalls = Pick<
  System,
  | 'lockFile'
  | 'openInRoot'
  | 'close'
  | 'closeAside'
  | 'becomeSubreaper'
  | 'changeDirectory'
  | 'openPidfd'
  | 'signalPidfd'
  | 'hasEnded'
  | 'waitPidfd'
  | 'waitChild'
  | 'isWaitable'
  | 'createEpoll'
  | 'addToEpoll'
  | 'removeFromEpoll'
  | 'pollEpoll'
  | 'waitEpoll'
>;

function descriptorsIn(events: Buffer, count: number): Fd[] {
  return Array.from({ length: count }, (_, index) =>
    events.readInt32LE(index * epollEvent.size + epollEvent.data),
  );
}

const { callOnPool } = ffi;

function waitFor(kind: number, id: number): ProcessExit | undefined {
  const info = Buffer.alloc(SIGINFO_SIZE);
  invoke({ name: 'waitid' }, 'waitid', kind, id, info, WEXITED | WNOHANG);
  if (info.readInt32LE(16) === 0) return undefined;
  const status = info.readInt32LE(24);
  return info.readInt32LE(8) === CLD_EXITED
    ? { exitCode: status, signal: null }
    : { exitCode: null, signal: status };
}

export const linuxProcesses: ProcessCalls = {
  lockFile(fd, { wait, shared = false }) {
    const operation = (shared ? LOCK_SH : LOCK_EX) | (wait ? 0 : LOCK_NB);
    return invokeUnless(['EAGAIN'], { name: 'flock' }, 'flock', fd, operation) !== undefined;
  },
  openInRoot(rootFd, path) {
    // struct open_how: flags, mode, resolve.
    const how = Buffer.alloc(24);
    // The tree may contain a named pipe, made by its author: opening the pipe must not wait for a writer.
    how.writeBigUInt64LE(BigInt(O_CLOEXEC | O_NONBLOCK), 0);
    how.writeBigUInt64LE(BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), 16);
    return invoke(
      { name: 'openat2', subject: path },
      'syscall',
      SYS.openat2,
      rootFd,
      path,
      how,
      24,
    );
  },
  close(fd) {
    // These report data that was lost earlier: the descriptor is closed nevertheless.
    const closed = ['EIO', 'EINTR', 'ENOSPC', 'EDQUOT'];
    invokeUnless(closed, { name: 'close', subject: String(fd) }, 'close', fd);
  },
  async closeAside(fd) {
    if (ffi.callOnPool === undefined) {
      linuxProcesses.close(fd);
      return;
    }
    const result = await callAside('close', fd);
    // Nothing was written through these descriptors, so EBADF is the only error left.
    if (result !== 0) throw new SystemError('close', constants.errno.EBADF, 'EBADF', String(fd));
  },
  becomeSubreaper() {
    invoke(
      { name: 'prctl', subject: 'PR_SET_CHILD_SUBREAPER' },
      'prctl',
      PR_SET_CHILD_SUBREAPER,
      1,
    );
  },
  changeDirectory(folder) {
    invoke({ name: 'fchdir', subject: String(folder) }, 'fchdir', folder);
  },
  openPidfd: (pid) =>
    invoke({ name: 'pidfd_open', subject: String(pid) }, 'syscall', SYS.pidfd_open, pid, 0),
  signalPidfd(pidfd, signal) {
    const as = { name: 'pidfd_send_signal', subject: String(signal) };
    return (
      invokeUnless(['ESRCH'], as, 'syscall', SYS.pidfd_send_signal, pidfd, signal, 0, 0) !==
      undefined
    );
  },
  hasEnded(pidfd) {
    // struct pollfd: fd, events, revents.
    const polled = Buffer.alloc(8);
    polled.writeInt32LE(pidfd, 0);
    polled.writeInt16LE(POLLIN, 4);
    return (invokeUnless(['EINTR'], { name: 'poll' }, 'poll', polled, 1, 0) ?? 0) > 0;
  },
  waitPidfd: (pidfd) => waitFor(P_PIDFD, pidfd),
  waitChild: (pid) => waitFor(P_PID, pid),
  isWaitable(pid) {
    const info = Buffer.alloc(SIGINFO_SIZE);
    const flags = WEXITED | WNOHANG | WNOWAIT;
    const asked = invokeUnless(['ECHILD'], { name: 'waitid' }, 'waitid', P_PID, pid, info, flags);
    return asked !== undefined && info.readInt32LE(16) !== 0;
  },
  createEpoll: () => invoke({ name: 'epoll_create1' }, 'epoll_create1', EPOLL_CLOEXEC),
  addToEpoll(epollFd, fd) {
    const event = Buffer.alloc(epollEvent.size);
    event.writeUInt32LE(EPOLLIN, 0);
    event.writeInt32LE(fd, epollEvent.data);
    invoke({ name: 'epoll_ctl', subject: 'add' }, 'epoll_ctl', epollFd, EPOLL_CTL_ADD, fd, event);
  },
  removeFromEpoll(epollFd, fd) {
    invoke({ name: 'epoll_ctl', subject: 'del' }, 'epoll_ctl', epollFd, EPOLL_CTL_DEL, fd, 0);
  },
  pollEpoll(epollFd, limit) {
    const events = Buffer.alloc(epollEvent.size * limit);
    const ready = invokeUnless(
      ['EINTR'],
      { name: 'epoll_wait' },
      'epoll_wait',
      epollFd,
      events,
      limit,
      0,
    );
    return descriptorsIn(events, ready ?? 0);
  },
  waitEpoll:
    callOnPool === undefined
      ? undefined
      : async (epollFd, limit, timeoutMs) => {
          const events = Buffer.alloc(epollEvent.size * limit);
          const ready = await callOnPool('epoll_wait', epollFd, events, limit, timeoutMs);
          return descriptorsIn(events, Math.max(0, ready));
        },
};
