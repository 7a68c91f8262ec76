/** A netlink socket in another process's network namespace, to ask the kernel for that namespace's sockets: sock_diag(7). */
import { closeSync, openSync } from 'node:fs';
import { invoke } from './invoke.ts';
import type { Fd } from './system.ts';

const CLONE_NEWNET = 0x4000_0000;
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC_NONBLOCK = 0x3 | 0x8_0000 | 0x800;
const NETLINK_SOCK_DIAG = 4;
/** Of going back. The call itself fails for want of memory alone, and then only for a moment. */
const TRIES = 1000;

/** `pid` is in a network namespace of its own, and has not been waited for. The caller closes the socket with `node:fs`. */
export function openDiagnosis(pid: number): Fd {
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
}

/** This thread alone is in the other namespace, for one call: nothing of this process can run on it meanwhile. */
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

function goBack(home: Fd): void {
  for (let left = TRIES; left > 1; left -= 1) {
    try {
      enter(home);
      return;
    } catch {
      // Once more: this thread must not stay where it is.
    }
  }
  enter(home);
}
