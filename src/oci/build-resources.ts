/** Limits of a task -> cgroup resources. */
import type { TaskLimits } from '../spec/task-spec.ts';
import type { OciDeviceRule, OciResources } from './oci-config.ts';

const CPU_PERIOD_US = 100_000;
/** The kernel takes no smaller quota: cgroup-v2.rst, cpu.max. */
const CPU_QUOTA_MIN_US = 1000;

/** Memory without swap, cpu as a share of a period, pids; devices as the template says. */
export function buildResources(
  limits: Required<TaskLimits>,
  devices: readonly OciDeviceRule[],
): OciResources {
  const { memoryBytes, cpus, pids } = limits;
  return {
    devices,
    memory: { limit: memoryBytes, swap: memoryBytes },
    cpu: {
      quota: Math.max(CPU_QUOTA_MIN_US, Math.round(cpus * CPU_PERIOD_US)),
      period: CPU_PERIOD_US,
    },
    pids: { limit: pids },
  };
}
