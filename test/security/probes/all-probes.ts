/** The escape battery. */
import type { Probe } from '../support/probe.ts';
import { descriptorProbes } from './descriptor-probes.ts';
import { deviceProbes } from './device-probes.ts';
import { fuseProbes } from './fuse-probes.ts';
import { hostProbes } from './host-probes.ts';
import { informationProbes } from './information-probes.ts';
import { kernelFileProbes } from './kernel-file-probes.ts';
import { kernelPoolProbes } from './kernel-pool-probes.ts';
import { neighbourProbes } from './neighbour-probes.ts';
import { resourceProbes } from './resource-probes.ts';
import { runtimeProbes } from './runtime-probes.ts';
import { socketKindProbes } from './socket-kind-probes.ts';
import { socketQueueProbes } from './socket-queue-probes.ts';
import { strangerProbes } from './stranger-probes.ts';
import { systemCallProbes } from './system-call-probes.ts';
import { traceProbes } from './trace-probes.ts';

export const allProbes: readonly Probe[] = [
  ...runtimeProbes,
  ...kernelFileProbes,
  ...systemCallProbes,
  ...socketKindProbes,
  ...deviceProbes,
  ...fuseProbes,
  ...hostProbes,
  ...neighbourProbes,
  ...descriptorProbes,
  ...resourceProbes,
  ...kernelPoolProbes,
  ...socketQueueProbes,
  ...informationProbes,
  ...traceProbes,
  ...strangerProbes,
];
