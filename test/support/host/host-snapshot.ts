/** What a task could leave on the host, as sets of readable lines. Reads the kernel's tables itself, without the product. */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

export interface HostSnapshot {
  /** `<mount point> (<filesystem> <id>)` of this mount namespace. */
  readonly mounts: ReadonlySet<string>;
  /** Paths of cgroups of every hierarchy that contain `stackshim`. */
  readonly cgroups: ReadonlySet<string>;
  /** Live processes (without zombies) by `<pid>@<start time>`. */
  readonly processes: ReadonlyMap<string, ProcessLine>;
  /** Everything below the given roots, without other mounts; folders end with a slash. */
  readonly files: ReadonlySet<string>;
  /** `<path> <owner> <group> <mode>` of each device node of the host that programs get. */
  readonly devices: ReadonlySet<string>;
  /** Entries of `/`: programs with a wrong path create files there, such as a cache below /no/such. */
  readonly entries: ReadonlySet<string>;
}

export interface ProcessLine {
  readonly pid: number;
  readonly ppid: number;
  readonly comm: string;
  /** Starts with the process itself and ends with the last readable ancestor. */
  readonly ancestors: readonly number[];
  /** In another pid namespace than this process: part of a container. */
  readonly isContained: boolean;
  readonly cgroups: string;
}

/** Takes a snapshot of the whole host; files only below `roots`. A root that does not exist counts as empty. */
export function snapshotHost(roots: readonly string[]): HostSnapshot {
  const mountLines = readFileSync('/proc/self/mountinfo', 'utf8').trimEnd().split('\n');
  const mounts = mountLines.map(parseMount);
  return {
    mounts: new Set(mounts.map(({ id, point, type }) => `${point} (${type} ${id})`)),
    cgroups: new Set(
      mounts
        .filter(({ type }) => type === 'cgroup' || type === 'cgroup2')
        .flatMap(({ point }) => listFolders(point))
        .filter((folder) => folder.includes('stackshim')),
    ),
    processes: readProcesses(),
    files: new Set(roots.flatMap((root) => listTree(root))),
    devices: new Set(DEVICES.flatMap(describeDevice)),
    entries: new Set(readdirSync('/').map((name) => `/${name}`)),
  };
}

const DEVICES = [
  ...['null', 'zero', 'full', 'random', 'urandom', 'tty', 'console', 'ptmx', 'fuse', 'kvm', 'kmsg'],
  ...['loop-control', 'net/tun', 'mapper/control', 'vhost-net', 'hwrng', 'mem', 'port', 'loop0'],
].map((name) => `/dev/${name}`);

/** Nodes that the host does not have are left out. */
function describeDevice(path: string): readonly string[] {
  const stat = orNothing(() => lstatSync(path));
  if (stat === undefined) return [];
  return [`${path} ${stat.uid}:${stat.gid} ${stat.mode.toString(8)}`];
}

function parseMount(line: string): { id: string; point: string; type: string } {
  const [left = '', right = ''] = line.split(' - ');
  const [id = '', , , , point = ''] = left.split(' ');
  const unescaped = point.replaceAll(/\\(\d{3})/g, (_, octal) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return { id, point: unescaped, type: right.split(' ')[0] ?? '' };
}

function listFolders(folder: string): string[] {
  const below = orNothing(() => readdirSync(folder, { withFileTypes: true })) ?? [];
  const folders = below.filter((entry) => entry.isDirectory());
  return [folder, ...folders.flatMap((entry) => listFolders(join(folder, entry.name)))];
}

function listTree(root: string): string[] {
  const device = orNothing(() => lstatSync(root))?.dev;
  if (device === undefined) return [];
  const walk = (path: string): string[] => {
    const stat = orNothing(() => lstatSync(path));
    if (stat === undefined) return [];
    if (!stat.isDirectory() || stat.dev !== device) return [path];
    const names = orNothing(() => readdirSync(path)) ?? [];
    return [`${path}/`, ...names.flatMap((name) => walk(join(path, name)))];
  };
  return walk(root);
}

/** Live processes, as in a snapshot. */
export function readProcesses(): ReadonlyMap<string, ProcessLine> {
  const ownNamespace = readlinkSync('/proc/self/ns/pid');
  const stats = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => orNothing(() => readStat(Number(pid))) ?? [])
    .filter((stat) => stat.state !== 'Z' && stat.state !== 'X');
  const parents = new Map(stats.map((stat) => [stat.pid, stat.ppid]));
  const lines = stats.map((stat): [string, ProcessLine] => {
    const { pid, ppid, comm, startTime } = stat;
    // Kernel threads and foreign processes may not show their namespace.
    const namespace = orNothing(() => readlinkSync(`/proc/${pid}/ns/pid`));
    const isContained = namespace !== undefined && namespace !== ownNamespace;
    const cgroups = orNothing(() => readFileSync(`/proc/${pid}/cgroup`, 'utf8')) ?? '';
    const ancestors = findAncestors(pid, parents);
    return [`${pid}@${startTime}`, { pid, ppid, comm, ancestors, isContained, cgroups }];
  });
  return new Map(lines);
}

function readStat(pid: number) {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const comm = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return {
    pid,
    comm,
    state: fields[0] ?? '',
    ppid: Number(fields[1]),
    startTime: fields[19] ?? '',
  };
}

function findAncestors(pid: number, parents: ReadonlyMap<number, number>): readonly number[] {
  const chain: number[] = [];
  for (let at: number | undefined = pid; at !== undefined && at > 0; at = parents.get(at)) {
    chain.push(at);
  }
  return chain;
}

/** The result of `read`, or nothing if its subject has vanished or cannot be read. */
function orNothing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM', 'ENOTDIR', 'ENODEV'].includes(String(code))) return;
    throw error;
  }
}
