/** Which tasks' sockets are watched, and what is assumed of those that the kernel does not list. */
import { readFileSync } from 'node:fs';
import { errnoCodeOf } from '../../core/errors.ts';
import { driverOf } from '../../runtime/drivers/driver-of.ts';
import { canRefuseStamps } from '../../runtime/net-sysctl.ts';
import type { HostFacts } from '../../sys/host-facts.ts';
import { openNetNamespace } from '../../sys/linux-streams.ts';
import { socketSizes } from '../../sys/socket-sizes.ts';
import type { Fd } from '../../sys/system.ts';
import type { Installation } from '../installation.ts';
import type { ContainerPlan } from '../plan-container.ts';
import { type SocketBounds, SocketWatch } from './socket-watch.ts';

/** A message of UDP that a program has not completed. With the bundle's filter nothing else waits in an unlisted socket of a program. */
const UNSENT_BYTES = 2 * 65_536;
/** The most that such a message keeps: as many pieces as the kernel lets it have, each on a page of its own, though the kernel counts a byte of it. */
const UNSENT_PAGES_BYTES = 17 * 32_768;

/**
 * Undefined for a task on the host's network, whose sockets are among the host's, and for a sandbox, whose sockets are its own memory.
 * `pid` is of the container's init, which has not become the command yet: what a command does to itself could keep others from its namespace.
 */
export function openSocketWatch(
  plan: ContainerPlan,
  { system, cgroups, host }: Installation,
  pid: number,
): SocketWatch | undefined {
  const { spec, places, runtime } = plan;
  if (spec.network === 'host' || !driverOf(runtime).usesHostSockets) return undefined;
  const namespace = openNamespace(pid);
  if (namespace === undefined) return undefined;
  return new SocketWatch({
    namespace,
    system,
    cgroups,
    cgroupsPath: places.cgroupsPath,
    memoryBytes: spec.limits.memoryBytes,
    bounds: () => toBounds(canFillErrors(plan, host)),
  });
}

/** Undefined when the process has ended. */
function openNamespace(pid: number): Fd | undefined {
  try {
    return openNetNamespace(pid);
  } catch (error) {
    if (errnoCodeOf(error) !== 'ENOENT') throw error;
    return undefined;
  }
}

/** `fillsErrors`: programs can have the kernel queue errors and timestamps, also in a socket that they then take from its lists. */
function toBounds(fillsErrors: boolean): SocketBounds {
  const { receiveBytes, grownBytes, optionBytes } = socketSizes();
  const queueBytes = fillsErrors ? grownBytes : receiveBytes;
  return {
    largestBytes: queueBytes + UNSENT_PAGES_BYTES + optionBytes,
    unlistedBytes: fillsErrors ? receiveBytes : UNSENT_BYTES,
    unsentBytes: UNSENT_PAGES_BYTES,
  };
}

const canFillErrors = ({ spec }: ContainerPlan, host: HostFacts): boolean =>
  spec.seccomp !== undefined ||
  spec.capAdd.some((name) => name === 'CAP_NET_RAW' || name === 'ALL') ||
  !refusesStamps(host);

/** Where tasks cannot refuse them for themselves, the host may have. */
const refusesStamps = (host: HostFacts): boolean =>
  canRefuseStamps(host) ||
  readFileSync('/proc/sys/net/core/tstamp_allow_data', 'utf8').trim() === '0';
