/** Settings of the kernel that a runtime makes in a task's own network namespace. */
import { type HostFacts, isKernelAtLeast } from '../sys/host-facts.ts';
import type { Runtime } from './runtime.ts';

/**
 * Transmit timestamps carry the whole message back to its sender, into a queue that no cgroup is charged for. A program asks for them
 * with each message, where no filter of system calls sees it. Since Linux 6.18 a network namespace can refuse them; earlier kernels
 * know the setting for the whole host alone, which `stackshim doctor` tells.
 */
export const netSysctl = (
  { kind }: Pick<Runtime, 'kind'>,
  host: HostFacts,
): Readonly<Record<string, string>> =>
  kind !== 'runsc' && canRefuseStamps(host) ? { 'net.core.tstamp_allow_data': '0' } : {};

export const canRefuseStamps = (host: HostFacts): boolean => isKernelAtLeast(host, 6, 18);
