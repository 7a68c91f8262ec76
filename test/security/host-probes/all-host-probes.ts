/** The host probes of the battery. */
import type { HostProbe } from '../../support/host-probe.ts';
import { startedProgramProbes } from './started-program-probes.ts';
import { taskFieldProbes } from './task-field-probes.ts';

export const allHostProbes: readonly HostProbe[] = [...taskFieldProbes, ...startedProgramProbes];
