/** The host probes of the battery. */
import type { HostProbe } from '../../support/host-probe.ts';

export const allHostProbes: readonly HostProbe[] = [];
