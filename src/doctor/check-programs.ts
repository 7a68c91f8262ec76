/** Checks which of the programs that stackshim uses are installed. */
import { messageOf, StackshimError } from '../core/errors.ts';
import type { Layout } from '../core/layout.ts';
import { driverOf } from '../runtime/drivers/driver-of.ts';
import { resolveRuntime } from '../runtime/resolve-runtime.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { knownHoles } from '../runtime/runtime-version.ts';
import { DEFAULT_RUNTIME } from '../spec/policy.ts';
import { findProgram } from '../sys/find-program.ts';
import { type Check, failed, optional, passed, required, warned } from './check.ts';

export interface RuntimeCheckOptions {
  readonly layout: Layout;
  /** Whether both cgroup versions are mounted, which some runtimes refuse. */
  readonly isHybrid: boolean;
}

/** Finds a runtime, reads its version and checks for that version's vulnerabilities. Only the default runtime is required. */
export async function checkRuntime(name: string, options: RuntimeCheckOptions): Promise<Check> {
  const subject = (name === DEFAULT_RUNTIME ? required : optional)(`runtime ${name}`);
  let runtime: Runtime;
  try {
    runtime = await resolveRuntime(name, { layout: options.layout });
  } catch (error) {
    if (!(error instanceof StackshimError)) throw error;
    if (name === DEFAULT_RUNTIME) return failed(subject, error.message, error.hint);
    // The other runtimes are optional.
    return error.code === 'ERR_STACKSHIM_RUNTIME_NOT_FOUND'
      ? passed(subject, 'not installed; only --runtime needs it')
      : warned(subject, error.message, error.hint);
  }
  return judgeRuntime(runtime, { subject, isHybrid: options.isHybrid });
}

/** Judges a runtime that was found. Pure. */
export function judgeRuntime(
  runtime: Runtime,
  options: { readonly subject: Pick<Check, 'name' | 'required'>; readonly isHybrid: boolean },
): Check {
  const { subject, isHybrid } = options;
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

export function checkTools(): readonly Check[] {
  return tools.map(({ name, package: debianPackage, purpose }) => {
    try {
      return passed(optional(name), findProgram(name, { package: debianPackage }));
    } catch (error) {
      if (!(error instanceof StackshimError)) throw error;
      const message = `${messageOf(error)}; needed for ${purpose}`;
      return warned(optional(name), message, error.hint);
    }
  });
}
