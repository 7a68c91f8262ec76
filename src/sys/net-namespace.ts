/**
 * What the kernel tells of the sockets of another network namespace. Its descriptor is asked for, not a process in it: /proc/PID/net is
 * empty from the moment when the first thread of the process has left, however many others live.
 */
import { closeSync, openSync } from 'node:fs';
import { invoke } from './invoke.ts';
import type { Fd, System } from './system.ts';

const CLONE_NEWNET = 0x4000_0000;
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC_NONBLOCK = 0x3 | 0x8_0000 | 0x800;
const NETLINK_SOCK_DIAG = 4;
/** Of setns(2) back home, which fails only while the kernel is short of memory. */
const TRIES = 1000;

export const linuxNetNamespaces: Pick<System, 'openSocketDiagnosis' | 'openNetFile'> = {
  openSocketDiagnosis(namespace) {
    const as = { name: 'socket', subject: 'NETLINK_SOCK_DIAG' };
    return openIn(namespace, () =>
      invoke(as, 'socket', AF_NETLINK, SOCK_RAW_CLOEXEC_NONBLOCK, NETLINK_SOCK_DIAG),
    );
  },
  openNetFile: (namespace, name) =>
    openIn(namespace, () => openSync(`/proc/thread-self/net/${name}`, 'r')),
};

/**
 * Opens the network namespace of a process; the caller closes it with `node:fs`. Precondition: no program of a task runs in that
 * process yet: while one is in exec(2), which it may draw out, this call waits.
 */
export const openNetNamespace = (pid: number): Fd => openSync(`/proc/${pid}/ns/net`, 'r');

/** Only this thread enters the other namespace, and runs nothing there but what opens one descriptor. */
function openIn(namespace: Fd, open: () => Fd): Fd {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  try {
    enter(namespace);
    try {
      return open();
    } finally {
      goBack(home);
    }
  } finally {
    closeSync(home);
  }
}

function enter(namespace: Fd): void {
  invoke({ name: 'setns', subject: 'net' }, 'setns', namespace, CLONE_NEWNET);
}

/** The thread must not stay in the other namespace. */
function goBack(home: Fd): void {
  for (let left = TRIES; left > 1; left -= 1) {
    try {
      enter(home);
      return;
    } catch {
      // The last try throws.
    }
  }
  enter(home);
}
