/** Sysctls that a runtime sets in a task's own network namespace. */
import { existsSync } from 'node:fs';
import { type HostFacts, isKernelAtLeast } from '../sys/host-facts.ts';
import { driverOf } from './drivers/driver-of.ts';
import type { Runtime } from './runtime.ts';

/**
 * The most groups that an IPv4 socket may join, and the most sources for each group: the kernel charges this memory to no cgroup. The usual
 * limits are 20 and 10: with these, 12,000 sockets of a task with 32 MiB held 169 MiB.
 */
const GROUPS = { 'net.ipv4.igmp_max_memberships': '5', 'net.ipv4.igmp_max_msf': '1' } as const;

/**
 * Transmit timestamps return the whole message to its sender, in a queue that no cgroup is charged for. A program requests them per message,
 * where no system call filter can see it. Since Linux 6.18 a network namespace can refuse them. Earlier kernels have the setting only for
 * the whole host, which `stackshim doctor` reports.
 */
export const netSysctl = (
  runtime: Pick<Runtime, 'kind'>,
  host: HostFacts,
): Readonly<Record<string, string>> =>
  driverOf(runtime).usesHostSockets
    ? {
        ...(canRefuseStamps(host) ? { 'net.core.tstamp_allow_data': '0' } : {}),
        ...(hasGroups() ? GROUPS : {}),
      }
    : {};

let knownGroups: boolean | undefined;

/** The kernel may be built without multicast. */
function hasGroups(): boolean {
  knownGroups ??= existsSync('/proc/sys/net/ipv4/igmp_max_memberships');
  return knownGroups;
}

export const canRefuseStamps = (host: HostFacts): boolean => isKernelAtLeast(host, 6, 18);
