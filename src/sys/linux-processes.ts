/** Processes by pidfd: pidfd_open(2), pidfd_send_signal(2), poll(2), waitid(2), epoll(7), prctl(2). Network namespaces: setns(2). */
import { openSync } from 'node:fs';
import { ffi } from '#ffi';
import { invoke, invokeUnless } from './invoke.ts';
import { givesBytes } from './linux-streams.ts';
import { withFd } from './paths.ts';
import type { Fd, ProcessExit, System } from './system.ts';

const SYS = { pidfd_send_signal: 424, pidfd_open: 434 } as const;
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
/** struct epoll_event is packed only on x86-64. */
const epollEvent = process.arch === 'x64' ? { size: 12, data: 4 } : { size: 16, data: 8 };

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

export const linuxProcesses = {
  becomeSubreaper() {
    const as = { name: 'prctl', subject: 'PR_SET_CHILD_SUBREAPER' };
    invoke(as, 'prctl', PR_SET_CHILD_SUBREAPER, 1);
  },
  openPidfd: (pid) =>
    invoke({ name: 'pidfd_open', subject: String(pid) }, 'syscall', SYS.pidfd_open, pid, 0),
  signalPidfd(pidfd, signal) {
    const as = { name: 'pidfd_send_signal', subject: String(signal) };
    const { pidfd_send_signal } = SYS;
    const sent = invokeUnless(['ESRCH'], as, 'syscall', pidfd_send_signal, pidfd, signal, 0, 0);
    return sent !== undefined;
  },
  hasEnded: givesBytes,
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
    const as = { name: 'epoll_wait' };
    const ready = invokeUnless(['EINTR'], as, 'epoll_wait', epollFd, events, limit, 0);
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
} satisfies Partial<System>;

const CLONE_NEWNET = 0x4000_0000;
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC_NONBLOCK = 0x3 | 0x8_0000 | 0x800;
const NETLINK_SOCK_DIAG = 4;
/** Tries to return by setns(2), which fails only while the kernel is short of memory. */
const TRIES_HOME = 1000;

/**
 * Opens socket information of another network namespace. Takes a descriptor of the namespace instead of a pid: /proc/PID/net is empty once the
 * process's first thread has ended, even if other threads still run.
 */
export const linuxNetNamespaces = {
  openSocketDiagnosis(namespace) {
    const as = { name: 'socket', subject: 'NETLINK_SOCK_DIAG' };
    return openIn(namespace, () =>
      invoke(as, 'socket', AF_NETLINK, SOCK_RAW_CLOEXEC_NONBLOCK, NETLINK_SOCK_DIAG),
    );
  },
  openNetFile: (namespace, name) =>
    openIn(namespace, () => openSync(`/proc/thread-self/net/${name}`, 'r')),
} satisfies Partial<System>;

/**
 * Opens the network namespace of a process; the caller closes it with `node:fs`. Precondition: the process does not run a task's program yet.
 * This call waits while the process is in exec(2), which a task can prolong.
 */
export const openNetNamespace = (pid: number): Fd => openSync(`/proc/${pid}/ns/net`, 'r');

/** Only this thread enters the other namespace, and only to open one descriptor. */
function openIn(namespace: Fd, open: () => Fd): Fd {
  return withFd(openSync('/proc/thread-self/ns/net', 'r'), (home) => {
    enter(namespace);
    try {
      return open();
    } finally {
      goBack(home);
    }
  });
}

function enter(namespace: Fd): void {
  invoke({ name: 'setns', subject: 'net' }, 'setns', namespace, CLONE_NEWNET);
}

/** Returns the thread to its own namespace; it must not stay in the other one. */
function goBack(home: Fd): void {
  for (let left = TRIES_HOME; ; left -= 1) {
    try {
      enter(home);
      return;
    } catch (error) {
      if (left === 1) throw error;
    }
  }
}
