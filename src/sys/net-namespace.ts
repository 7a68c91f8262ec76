/** Asking the kernel for the sockets of another network namespace: sock_diag(7). */
import { closeSync, openSync } from 'node:fs';
import { invoke } from './invoke.ts';
import type { Fd, System } from './system.ts';

const CLONE_NEWNET = 0x4000_0000;
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC_NONBLOCK = 0x3 | 0x8_0000 | 0x800;
const NETLINK_SOCK_DIAG = 4;
/** For setns(2) back home: it fails only while the kernel has no memory for a moment. */
const TRIES = 1000;

export const linuxNetNamespaces: Pick<System, 'openSocketDiagnosis'> = {
  openSocketDiagnosis(pid) {
    const home = openSync('/proc/thread-self/ns/net', 'r');
    try {
      const there = openSync(`/proc/${pid}/ns/net`, 'r');
      try {
        return openIn(there, home);
      } finally {
        closeSync(there);
      }
    } finally {
      closeSync(home);
    }
  },
};

/** Only this thread enters the other namespace, and runs nothing there but one socket(2). */
function openIn(there: Fd, home: Fd): Fd {
  enter(there);
  try {
    const as = { name: 'socket', subject: 'NETLINK_SOCK_DIAG' };
    return invoke(as, 'socket', AF_NETLINK, SOCK_RAW_CLOEXEC_NONBLOCK, NETLINK_SOCK_DIAG);
  } finally {
    goBack(home);
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
