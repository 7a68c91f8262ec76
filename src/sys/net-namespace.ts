/**
 * Opens the kernel's information about the sockets of another network namespace. Uses a descriptor of the namespace, not a process in it:
 * /proc/PID/net is empty as soon as the first thread of the process has left, even if other threads still run.
 */
import { closeSync, openSync } from 'node:fs';
import { invoke } from './invoke.ts';
import type { Fd, System } from './system.ts';

const CLONE_NEWNET = 0x4000_0000;
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC_NONBLOCK = 0x3 | 0x8_0000 | 0x800;
const NETLINK_SOCK_DIAG = 4;
/** Tries of setns(2) back home, which fails only while the kernel is short of memory. */
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
 * Opens the network namespace of a process; the caller closes it with `node:fs`. Precondition: the process does not run a program of a task
 * yet. While a process is in exec(2), which a task can prolong, this call waits.
 */
export const openNetNamespace = (pid: number): Fd => openSync(`/proc/${pid}/ns/net`, 'r');

/** Only this thread enters the other namespace, and only to open one descriptor. */
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

/** Returns the thread to its own namespace: it must not stay in the other one. */
function goBack(home: Fd): void {
  for (let left = TRIES; left > 1; left -= 1) {
    try {
      enter(home);
      return;
    } catch {
      // Try again; the last try, after the loop, throws.
    }
  }
  enter(home);
}
