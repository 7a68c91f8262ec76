/** The leak check: after a privileged test, the host must be as before. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect } from 'vitest';
import { cgroupParent } from '../../../src/cgroup/cgroup-names.ts';
import { errnoCodeOf } from '../../../src/core/errors.ts';
import { helpersEnded, type Ours } from './helpers-ended.ts';
import { type HostSnapshot, snapshotHost } from './host-snapshot.ts';

export interface LeakOptions {
  /** Lines of the report to allow, in addition to what stays by design. */
  readonly allow?: readonly RegExp[];
  /** The folders of the installations under test. Needed if other test runs share the host. */
  readonly roots?: readonly string[];
}

export interface LeakCheckOptions {
  readonly allow?: readonly RegExp[];
  /** Every folder that the tests write to, first of all the root and run folders of their installations; called for each test. */
  readonly roots: () => readonly string[];
}

/** What stays by design: layers and cached builds mounted once per boot, idle volumes, the slots' pinned user namespaces, an installation's fixed folders and locks. */
const staysByDesign: readonly RegExp[] = [
  /^mount \S+\/layers\/[0-9a-f]{64} \(erofs /,
  /^mount \S+\/built\/[0-9a-f]{64}\/(code|task) \(erofs /,
  /^file \S+\/built\/(([0-9a-f]{64})([/.][a-z.]+)?\/?)?$/,
  /^mount \S+\/runtime-copies\/[0-9-]+ \(tmpfs /,
  /^file \S+\/runtime-copies\/[0-9-]+(\/(runtime)?)?$/,
  /^mount \S+\/volumes\/[^/ ]+ \(ext4 /,
  /^file \S+\/volumes\/[^/]+\/?$/,
  /^file \S+\/scratch\/\.idle-[^/]+$/,
  /^mount \/run\/stackshim-slots\/\d+\.userns \(nsfs /,
  /^file \S+\/layers\/[0-9a-f]{64}(\/|\.lock)?$/,
  /^file \S+\/(layers|tasks|tenants|runtime|runtime-copies|runtime-versions|locks|leases|tmp|scratch|volumes|build|reports|workers)\/$/,
  /^file \S+\/reports\/\.looked$/,
  /^file \S+\/runtime-versions\/[^/]+$/,
  // crun's cache of compiled seccomp profiles: one for each profile that was used.
  /^file \S+\/runtime\/\.cache\/(seccomp\/.*)?$/,
  /^file \S+\/locks\/[^/]+$/,
];

/**
 * Another suite on this machine would look like a leak. With STACKSHIM_TEST_SHARED_HOST only what belongs to this process and to the
 * given roots counts; without it, as in CI, everything counts.
 */
const isSharedHost = process.env['STACKSHIM_TEST_SHARED_HOST'] !== undefined;

/**
 * Fails with one line for each new mount, cgroup, process, file and entry of `/`, and for each device node of the host whose owner or
 * mode has changed.
 * An installation's parent cgroup may stay while it is empty.
 */
export function expectNoLeaks(
  before: HostSnapshot,
  after: HostSnapshot,
  options: LeakOptions = {},
): void {
  const allowed = [...staysByDesign, ...(options.allow ?? [])];
  const leaks = [
    ...findNew(before.mounts, after.mounts).map((mount) => `mount ${mount}`),
    ...findNew(before.cgroups, after.cgroups)
      .filter((folder) => !isEmptyParent(folder))
      .map((folder) => `cgroup ${folder}`),
    ...findNewProcesses(before, after, options.roots ?? []),
    ...findNew(before.files, after.files).map((file) => `file ${file}`),
    ...findNew(before.devices, after.devices).map((device) => `device ${device}`),
    ...findNew(before.entries, after.entries).map((entry) => `entry ${entry}`),
  ];
  const unexpected = leaks
    .filter((leak) => !allowed.some((pattern) => pattern.test(leak)))
    .filter((leak) => !isSharedHost || isTiedTo(leak, options.roots ?? []))
    .filter(
      (leak, _, all) =>
        !all.some((other) => other.endsWith('/') && leak !== other && leak.startsWith(other)),
    );
  if (unexpected.length === 0) return;
  const hint = 'do other test runs share this host? set STACKSHIM_TEST_SHARED_HOST=1';
  expect.fail(`left behind (${hint}):\n  ${unexpected.join('\n  ')}`);
}

/** Waits for the ends of helper processes, then compares the host with `before`. */
export async function expectNoLeaksSince(
  before: HostSnapshot,
  options: LeakOptions & Pick<Required<LeakOptions>, 'roots'>,
): Promise<void> {
  await helpersEnded(before, { isOurs: toOurs(options.roots), roots: options.roots });
  expectNoLeaks(before, snapshotHost(options.roots), options);
}

/**
 * Checks for leaks around each test of a file or a describe. Hooks that are registered after this call run inside the check: they must
 * remove what they create.
 */
export function useLeakCheck({ roots, allow = [] }: LeakCheckOptions): void {
  let before: HostSnapshot;
  beforeEach(() => {
    before = snapshotHost(roots());
  });
  afterEach(() => expectNoLeaksSince(before, { allow, roots: roots() }));
}

function findNew(before: ReadonlySet<string>, after: ReadonlySet<string>): readonly string[] {
  return [...after].filter((line) => !before.has(line));
}

function isEmptyParent(folder: string): boolean {
  if (!/\/stackshim-[0-9a-f]{8}$/.test(folder)) return false;
  try {
    return readFileSync(`${folder}/cgroup.procs`, 'utf8') === '';
  } catch (error) {
    // A cgroup of another installation that has been removed meanwhile.
    if (errnoCodeOf(error) === 'ENOENT' || errnoCodeOf(error) === 'ENODEV') return true;
    throw error;
  }
}

function findNewProcesses(
  before: HostSnapshot,
  after: HostSnapshot,
  roots: readonly string[],
): readonly string[] {
  const isOurs = toOurs(roots);
  return [...after.processes]
    .filter(([key, line]) => !before.processes.has(key) && isOurs(line))
    .map(([, { pid, ppid, comm }]) => `process ${pid} ${comm} (parent ${ppid})`);
}

/**
 * The system starts processes of its own meanwhile. Ours are the descendants of this process (which may be the subreaper of what it
 * started), processes in a pid namespace of their own, and processes in one of our cgroups or running one of our programs.
 */
function toOurs(roots: readonly string[]): Ours['isOurs'] {
  const ourCgroups = isSharedHost ? roots.map((root) => cgroupParent({ root })) : ['/stackshim'];
  return (line) =>
    line.ancestors.includes(process.pid) ||
    ourCgroups.some((path) => line.cgroups.includes(path)) ||
    (!isSharedHost && (line.isContained || ourPrograms.has(line.comm)));
}

const ourPrograms: ReadonlySet<string> = new Set([
  'stackshim',
  'runc',
  'crun',
  'runsc',
  'buildah',
  'mkfs.erofs',
  'mmdebstrap',
  'newuidmap',
]);

/** Processes are matched with the roots where they are found. */
function isTiedTo(leak: string, roots: readonly string[]): boolean {
  if (/^(process|device|entry) /.test(leak)) return true;
  return roots.some((root) => leak.includes(`${root}/`) || leak.includes(cgroupParent({ root })));
}
