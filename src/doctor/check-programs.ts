/** Checks which of the programs that stackshim uses are installed. */
import type { Layout } from '../core/layout.ts';
import { driverOf } from '../runtime/drivers/driver-of.ts';
import { resolveRuntime } from '../runtime/resolve-runtime.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { knownHoles } from '../runtime/runtime-version.ts';
import { DEFAULT_RUNTIME } from '../spec/policy.ts';
import { findProgram } from '../sys/find-program.ts';
import { type Check, failed, optional, passed, required, unlessRefused, warned } from './check.ts';

/**
 * Finds a runtime, reads its version and checks for that version's vulnerabilities. Only the default runtime is required.
 *
 * @param isHybrid Whether both cgroup versions are mounted, which some runtimes refuse.
 */
export function checkRuntime(name: string, layout: Layout, isHybrid: boolean): Promise<Check> {
  const subject = (name === DEFAULT_RUNTIME ? required : optional)(`runtime ${name}`);
  return unlessRefused(
    async () => judgeRuntime(await resolveRuntime(name, { layout }), subject, isHybrid),
    ({ code, message, hint }) => {
      if (subject.required) return failed(subject, message, hint);
      return code === 'ERR_STACKSHIM_RUNTIME_NOT_FOUND'
        ? passed(subject, 'not installed; only --runtime needs it')
        : warned(subject, message, hint);
    },
  );
}

/** Judges a runtime that was found. Pure. */
export function judgeRuntime(
  runtime: Runtime,
  subject: Pick<Check, 'name' | 'required'>,
  isHybrid: boolean,
): Check {
  const found = `${runtime.kind} ${runtime.version} at ${runtime.path}`;
  const holes = knownHoles(runtime);
  if (holes.length > 0) {
    const hint = 'install runc 1.3.3 or later; npm run quickstart brings one below the root folder';
    return warned(subject, `${found} has known holes: ${holes.join(', ')}`, hint);
  }
  if (isHybrid && driverOf(runtime).refusesHybridCgroups) {
    const hint = 'use runc here, or boot with cgroup v2 alone';
    return warned(subject, `${found} refuses hosts with both cgroup versions`, hint);
  }
  return passed(subject, found);
}

/** Programs that only some commands need, each with its Debian package. */
const tools = [
  { name: 'mkfs.erofs', package: 'erofs-utils', purpose: 'stack build, import and run --code' },
  { name: 'buildah', package: 'buildah', purpose: 'stack build' },
  { name: 'mmdebstrap', package: 'mmdebstrap', purpose: 'building base images' },
  { name: 'perl', package: 'perl-base', purpose: 'exec' },
] as const;

export const checkTools = (): Promise<readonly Check[]> =>
  Promise.all(
    tools.map(({ name, package: debianPackage, purpose }) =>
      unlessRefused(
        () => passed(optional(name), findProgram(name, { package: debianPackage })),
        ({ message, hint }) => warned(optional(name), `${message}; needed for ${purpose}`, hint),
      ),
    ),
  );
