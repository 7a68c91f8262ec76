/** Checks how much memory beyond its limit a task's sockets may hold before a look finds it. */
import { canRefuseStamps, type HostFacts } from '../sys/host-facts.ts';
import { openNetNamespace } from '../sys/linux-processes.ts';
import { withFd, withSystemFd } from '../sys/paths.ts';
import type { System } from '../sys/system.ts';
import { readTcpSockets } from '../sys/tcp-sockets.ts';
import { type Check, optional, passed, warned } from './check.ts';

const MEBIBYTE = 1024 * 1024;
const ENOUGH_TO_RECEIVE = MEBIBYTE;

export interface SocketSettings {
  /** The text of /proc/sys/net/core/rmem_max; undefined if the file does not exist. */
  readonly receiveMax: string | undefined;
  /** The text of /proc/sys/net/core/tstamp_allow_data; undefined if the file does not exist. */
  readonly allowsStamps: string | undefined;
  /** Whether the kernel lists TCP sockets with their memory. */
  readonly hasDiagnosis: boolean;
}

/** Reports the first problem. Pure. */
export function checkSocketQueues(settings: SocketSettings, facts: HostFacts): Check {
  const subject = optional('queues of sockets');
  const { receiveMax, allowsStamps, hasDiagnosis } = settings;
  const bytes = Number(receiveMax ?? 0);
  if (bytes > ENOUGH_TO_RECEIVE) {
    return warned(
      subject,
      `each of 64 sockets of a task may hold ${Math.ceil((2 * bytes) / MEBIBYTE)} MiB that cannot be measured (net.core.rmem_max)`,
      `set the sysctl net.core.rmem_max to ${ENOUGH_TO_RECEIVE} or less; 212992 is usual`,
    );
  }
  if (!hasDiagnosis) {
    return warned(
      subject,
      'the kernel does not report what TCP sockets hold, so connections that a task does not accept are not bounded',
      'load the module tcp_diag, or boot a kernel with CONFIG_INET_DIAG',
    );
  }
  if (!canRefuseStamps(facts) && allowsStamps?.trim() === '1') {
    return warned(
      subject,
      'a task can have the kernel queue what it sends for it once more, until a look finds it (net.core.tstamp_allow_data)',
      'set the sysctl net.core.tstamp_allow_data to 0, or boot Linux 6.18, where each task has a setting of its own',
    );
  }
  return passed(subject, 'data in the sockets of tasks is bounded by their memory limit');
}

/** Asks in this process's own network namespace. Returns false for users other than root. */
export async function hasTcpDiagnosis(system: System): Promise<boolean> {
  try {
    return await withFd(openNetNamespace(process.pid), (namespace) =>
      withSystemFd(system, system.openSocketDiagnosis(namespace), (fd) =>
        readTcpSockets(fd, 'inet', () => undefined),
      ),
    );
  } catch {
    return false;
  }
}
