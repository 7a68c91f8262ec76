/** What the host's /proc shows about a container's processes; the container cannot falsify it. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

/** The result of `look` for every process in the cgroup of `pid`, without processes that end meanwhile. */
export function lookAtProcesses<T>(
  pid: number | undefined,
  look: (folder: string) => T,
): readonly T[] {
  if (pid === undefined) return [];
  const cgroups = readOr(`/proc/${pid}/cgroup`);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && readOr(`/proc/${name}/cgroup`) === cgroups)
    .flatMap((name) => {
      try {
        return [look(`/proc/${name}`)];
      } catch {
        return [];
      }
    });
}

/** Empty if it cannot be read. */
function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Pids of processes, of the host and of tasks, whose argument lists match. */
export const findByArguments = (isLike: (args: readonly string[]) => boolean): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && isLike(readOr(`/proc/${name}/cmdline`).split('\0')))
    .map(Number);

/** The targets of the descriptors of all its processes. */
export function descriptorsOf(pid: number | undefined): readonly string[] {
  return lookAtProcesses(pid, (folder) =>
    readdirSync(`${folder}/fd`).flatMap((fd) => linkOr(`${folder}/fd/${fd}`)),
  ).flat();
}

function linkOr(path: string): readonly string[] {
  try {
    return [readlinkSync(path)];
  } catch {
    return [];
  }
}

/** `major:minor` of the character devices and disks that its processes have open. */
export function devicesOf(pid: number | undefined): readonly string[] {
  return lookAtProcesses(pid, (folder) =>
    readdirSync(`${folder}/fd`).flatMap((fd) => deviceOr(`${folder}/fd/${fd}`)),
  ).flat();
}

function deviceOr(path: string): readonly string[] {
  try {
    const about = statSync(path);
    if (!about.isCharacterDevice() && !about.isBlockDevice()) return [];
    return [deviceNumber(about.rdev)];
  } catch {
    return [];
  }
}

/** As Linux packs it for statx(2). */
function deviceNumber(rdev: number): string {
  const packed = BigInt(rdev);
  const major = ((packed >> 8n) & 0xfffn) | ((packed >> 32n) & ~0xfffn);
  const minor = (packed & 0xffn) | ((packed >> 12n) & ~0xffn & 0xffffffffn);
  return `${major}:${minor}`;
}

/** A field of /proc/PID/status for each of its processes. */
export function statusOf(pid: number | undefined, field: string): readonly string[] {
  const pattern = new RegExp(`^${field}:\\s+(.*)$`, 'm');
  return lookAtProcesses(
    pid,
    (folder) => pattern.exec(readFileSync(`${folder}/status`, 'utf8'))?.[1] ?? '',
  );
}

/** Fields of /proc/PID/stat after the name: the first is the state. */
export function statOf(pid: number | undefined): readonly (readonly string[])[] {
  return lookAtProcesses(pid, (folder) => {
    const text = readFileSync(`${folder}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  });
}

/** `<mount point> <filesystem>` of every mount that one of its processes sees. */
export function mountsOf(pid: number | undefined): readonly string[] {
  return lookAtProcesses(pid, (folder) =>
    readFileSync(`${folder}/mountinfo`, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => `${line.split(' ')[4]} ${line.split(' - ')[1]?.split(' ')[0]}`),
  ).flat();
}

/** A namespace for each of its processes. */
export function namespacesOf(pid: number | undefined, kind: string): readonly string[] {
  return lookAtProcesses(pid, (folder) => readlinkSync(`${folder}/ns/${kind}`));
}

/** Bytes of memory that its processes use alone or share with each other. */
export function residentBytesOf(pid: number | undefined): number {
  const kibibytes = statusOf(pid, 'VmRSS').map((text) => Number.parseInt(text, 10));
  return kibibytes.reduce((sum, more) => sum + (Number.isNaN(more) ? 0 : more * 1024), 0);
}
