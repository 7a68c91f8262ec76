/** Inputs of `buildConfig` for tests: a user's task, with sensible values for the rest. */
import { parseTaskId } from '../../../src/core/ids.ts';
import { loadTemplate } from '../../../src/oci/load-template.ts';
import { admitTaskSpec, type HostLimits } from '../../../src/spec/admit-task-spec.ts';
import { parsePolicy } from '../../../src/spec/parse-policy.ts';
import { parseTaskSpec } from '../parse-task-spec.ts';
import type { ConfigInput } from './build-config.ts';

export const testIds = { base: 1_879_048_192 + 65_536 * 4_091, size: 65_536 };

const host: HostLimits = {
  memoryBytes: 2 ** 40,
  cpus: 64,
  hardLimits: { RLIMIT_NOFILE: 20_000 },
  canRaiseLimits: true,
};

/** `task` is a TaskInput without its stack; `more` replaces other inputs. */
export function toConfigInput(task: object, more: Partial<ConfigInput> = {}): ConfigInput {
  const spec = admitTaskSpec(parseTaskSpec({ stack: 'test', ...task }), parsePolicy({}), host);
  return {
    template: loadTemplate('default'),
    spec,
    id: parseTaskId('t1'),
    rootfs: '/run/stackshim/tasks/t1/rootfs',
    ids: spec.userns === 'host' ? null : testIds,
    cgroupsPath: '/stackshim-test/t1',
    binds: spec.mounts,
    devices: [],
    locksBinds: true,
    user: { uid: 0, gid: 0, additionalGids: [] },
    command: spec.command.length > 0 ? spec.command : ['/bin/true'],
    env: ['PATH=/bin'],
    cwd: spec.workdir ?? '/',
    host: { architecture: 'amd64', hardLimits: host.hardLimits, oomScoreAdj: 0, thermalPaths: [] },
    ...(spec.init ? { initBinary: '/usr/bin/tini-static' } : {}),
    ...more,
  };
}
