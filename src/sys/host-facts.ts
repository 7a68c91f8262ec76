/** Facts about the host, read once per process without starting a program. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, release, totalmem } from 'node:os';
import { StackshimError } from '../core/errors.ts';
import { bootId, statusBits } from './processes.ts';

export interface HostFacts {
  /** The architecture's name in OCI images: `amd64`, `arm64`, … */
  readonly architecture: string;
  readonly kernelRelease: string;
  /** [major, minor]. */
  readonly kernelVersion: readonly [number, number];
  readonly memoryBytes: number;
  /** Processors that this process may use. */
  readonly cpus: number;
  /** This process's hard limits by OCI name (`RLIMIT_NOFILE`); Infinity means unlimited. */
  readonly hardLimits: Readonly<Record<string, number>>;
  /** Whether this process can raise hard limits: CAP_SYS_RESOURCE. */
  readonly canRaiseLimits: boolean;
  /** How early the OOM killer picks this process: from -1000 (never) to 1000. */
  readonly oomScoreAdj: number;
  readonly isRoot: boolean;
  readonly bootId: string;
  /** Files with the temperature of each processor, which reveal the host's load. */
  readonly thermalPaths: readonly string[];
  /** Whether a network namespace can limit its sockets' multicast groups; a kernel may be built without multicast. */
  readonly boundsGroups: boolean;
}

/** Resource limits by their name in /proc/self/limits. */
const limitNames: Readonly<Record<string, string>> = {
  'Max cpu time': 'RLIMIT_CPU',
  'Max file size': 'RLIMIT_FSIZE',
  'Max data size': 'RLIMIT_DATA',
  'Max stack size': 'RLIMIT_STACK',
  'Max core file size': 'RLIMIT_CORE',
  'Max resident set': 'RLIMIT_RSS',
  'Max processes': 'RLIMIT_NPROC',
  'Max open files': 'RLIMIT_NOFILE',
  'Max locked memory': 'RLIMIT_MEMLOCK',
  'Max address space': 'RLIMIT_AS',
  'Max file locks': 'RLIMIT_LOCKS',
  'Max pending signals': 'RLIMIT_SIGPENDING',
  'Max msgqueue size': 'RLIMIT_MSGQUEUE',
  'Max nice priority': 'RLIMIT_NICE',
  'Max realtime priority': 'RLIMIT_RTPRIO',
  'Max realtime timeout': 'RLIMIT_RTTIME',
};
/** Width of the first column of /proc/PID/limits. */
const LABEL_WIDTH = 25;

const CAP_SYS_RESOURCE = 1n << 24n;
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

let known: HostFacts | undefined;

/** The facts of this host, read on the first call. */
export function readHostFacts(): HostFacts {
  if (known !== undefined) return known;
  const status = readFileSync('/proc/self/status', 'utf8');
  known = {
    architecture: architectures[process.arch] ?? process.arch,
    kernelRelease: release(),
    kernelVersion: parseKernelVersion(release()),
    memoryBytes: totalmem(),
    cpus: availableParallelism(),
    hardLimits: parseLimits(readFileSync('/proc/self/limits', 'utf8')),
    canRaiseLimits: (statusBits(status, 'CapEff') & CAP_SYS_RESOURCE) !== 0n,
    oomScoreAdj: Number(readFileSync('/proc/self/oom_score_adj', 'utf8')),
    isRoot: process.geteuid?.() === 0,
    bootId: bootId(),
    thermalPaths: readThermalPaths(),
    boundsGroups: existsSync('/proc/sys/net/ipv4/igmp_max_memberships'),
  };
  return known;
}

const CPUS = '/sys/devices/system/cpu';

/** Virtual machines have no such files. */
function readThermalPaths(): readonly string[] {
  const pathOf = (cpu: string) => `${CPUS}/${cpu}/thermal_throttle`;
  if (!existsSync(pathOf('cpu0'))) return [];
  const cpus = readdirSync(CPUS).filter((name) => /^cpu\d+$/.test(name));
  return cpus.map(pathOf).filter((path) => existsSync(path));
}

/** Whether the host's kernel has this version or a later one. */
export function isKernelAtLeast(
  facts: Pick<HostFacts, 'kernelVersion'>,
  major: number,
  minor: number,
): boolean {
  const [hostMajor, hostMinor] = facts.kernelVersion;
  return hostMajor > major || (hostMajor === major && hostMinor >= minor);
}

/**
 * Whether a network namespace can refuse transmit timestamps (since Linux 6.18). They return the whole message to its sender, in a queue that no
 * cgroup is charged for. A program requests them per message, where no system call filter can see it. Earlier kernels can only refuse them for
 * the whole host, which `stackshim doctor` reports.
 */
export const canRefuseStamps = (facts: Pick<HostFacts, 'kernelVersion'>): boolean =>
  isKernelAtLeast(facts, 6, 18);

/** `6.12.48+deb13-amd64` becomes [6, 12]. */
export function parseKernelVersion(text: string): readonly [number, number] {
  const match = /^(\d+)\.(\d+)/.exec(text);
  if (match === null) {
    throw new StackshimError('ERR_STACKSHIM_SYSTEM', `parse kernel release ${text}: no version`);
  }
  return [Number(match[1]), Number(match[2])];
}

/** The hard limits in the text of /proc/PID/limits. */
export function parseLimits(text: string): HostFacts['hardLimits'] {
  const limits: Record<string, number> = {};
  for (const line of text.split('\n')) {
    const name = limitNames[line.slice(0, LABEL_WIDTH).trimEnd()];
    const hard = line.slice(LABEL_WIDTH).trimStart().split(/ +/, 2)[1];
    if (name === undefined || hard === undefined) continue;
    if (hard === 'unlimited') limits[name] = Infinity;
    else if (/^\d+$/.test(hard)) limits[name] = Number(hard);
  }
  return limits;
}
