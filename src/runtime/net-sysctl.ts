/** Settings of the kernel that a runtime makes in a task's own network namespace. */
import { existsSync } from 'node:fs';
import { type HostFacts, isKernelAtLeast } from '../sys/host-facts.ts';
import { driverOf } from './drivers/driver-of.ts';
import type { Runtime } from './runtime.ts';

/**
 * Groups that a socket of IPv4 may join, and sources that it may name for each: the kernel remembers them for nobody's account. Usual are 20 and 10:
 * 12,000 sockets of a task with 32 MiB held 169 MiB.
 */
const GROUPS = { 'net.ipv4.igmp_max_memberships': '5', 'net.ipv4.igmp_max_msf': '1' } as const;

/**
 * Transmit timestamps carry the whole message back to its sender, into a queue that no cgroup is charged for. A program asks for them
 * with each message, where no filter of system calls sees it. Since Linux 6.18 a network namespace can refuse them; earlier kernels
 * know the setting for the whole host alone, which `stackshim doctor` tells.
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

/** A kernel may be built without them. */
function hasGroups(): boolean {
  knownGroups ??= existsSync('/proc/sys/net/ipv4/igmp_max_memberships');
  return knownGroups;
}

export const canRefuseStamps = (host: HostFacts): boolean => isKernelAtLeast(host, 6, 18);
