/** Decides which tasks' sockets are watched, and what is assumed about sockets that the kernel does not list. */
import { readFileSync } from 'node:fs';
import { unlessMissing } from '../../core/errors.ts';
import { driverOf } from '../../runtime/drivers/driver-of.ts';
import { canRefuseStamps } from '../../runtime/net-sysctl.ts';
import type { HostFacts } from '../../sys/host-facts.ts';
import { openNetNamespace } from '../../sys/net-namespace.ts';
import { socketSizes } from '../../sys/socket-sizes.ts';
import type { Fd } from '../../sys/system.ts';
import type { Installation } from '../installation.ts';
import type { ContainerPlan } from '../plan-container.ts';
import { type SocketBounds, SocketWatch } from './socket-watch.ts';

/** An incomplete UDP message. With the bundle's filter, nothing else can wait in an unlisted socket of a program. */
const UNSENT_BYTES = 2 * 65_536;
/**
 * The most memory of such a message: the largest number of pieces that the kernel allows, each on its own page, although the kernel may
 * count one byte of it.
 */
const UNSENT_PAGES_BYTES = 17 * 32_768;

/**
 * Opens the watch of a task's sockets. Undefined for a task on the host's network, whose sockets are among the host's, and for a sandbox,
 * whose sockets are its own memory. `pid` is that of the container's init before it becomes the command: a command could keep other
 * processes from its namespace.
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

/** Undefined if the process has ended. */
const openNamespace = (pid: number): Fd | undefined => unlessMissing(() => openNetNamespace(pid));

/** `fillsErrors`: whether programs can make the kernel queue errors and timestamps, also in sockets that they then remove from its lists. */
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

/** Where tasks cannot refuse timestamps for themselves, the host may do so. */
const refusesStamps = (host: HostFacts): boolean =>
  canRefuseStamps(host) ||
  readFileSync('/proc/sys/net/core/tstamp_allow_data', 'utf8').trim() === '0';
