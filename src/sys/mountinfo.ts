/** Parses the mount table of this process (/proc/self/mountinfo), and identifies its mount namespace. */
import { readFileSync, readlinkSync } from 'node:fs';
import { StackshimError } from '../core/errors.ts';

/** One line of proc_pid_mountinfo(5). */
export interface MountEntry {
  readonly id: number;
  readonly parentId: number;
  /** `major:minor` of the filesystem. */
  readonly device: string;
  /** The folder of the filesystem that is visible at `mountPoint`. */
  readonly root: string;
  readonly mountPoint: string;
  readonly options: readonly string[];
  readonly filesystem: string;
  readonly source: string;
  /** Options of the filesystem itself; on cgroup v1, its controllers. */
  readonly superOptions: readonly string[];
}

/** Parses mountinfo, in its order: a later mount hides an earlier one at the same place. Throws ERR_STACKSHIM_SYSTEM on a malformed line. */
export function parseMountinfo(text: string): readonly MountEntry[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map(parseLine);
}

/** The current mounts in this process's mount namespace. Blocks; the cost grows with the number of mounts. */
export function readMounts(): readonly MountEntry[] {
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** The mounts whose line contains `word`: with hundreds of mounts, parsing all of them would take a millisecond. */
export function readMountsWith(word: string): readonly MountEntry[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return parseMountinfo(lines.filter((line) => line.includes(word)).join('\n'));
}

function parseLine(line: string): MountEntry {
  const fields = line.split(' ');
  // Zero or more optional fields precede the single hyphen.
  const hyphen = fields.indexOf('-', 6);
  const [id, parentId, device, root, mountPoint, options] = fields;
  const [filesystem, source, superOptions] = hyphen < 0 ? [] : fields.slice(hyphen + 1);
  if (
    device === undefined ||
    root === undefined ||
    mountPoint === undefined ||
    options === undefined ||
    filesystem === undefined ||
    source === undefined ||
    superOptions === undefined ||
    !/^\d+$/.test(id ?? '') ||
    !/^\d+$/.test(parentId ?? '')
  ) {
    const message = `parse mountinfo: malformed line ${JSON.stringify(line.slice(0, 200))}`;
    throw new StackshimError('ERR_STACKSHIM_SYSTEM', message);
  }
  return {
    id: Number(id),
    parentId: Number(parentId),
    device,
    root: unescapeOctal(root),
    mountPoint: unescapeOctal(mountPoint),
    options: options.split(','),
    filesystem: unescapeOctal(filesystem),
    source: unescapeOctal(source),
    superOptions: unescapeOctal(superOptions).split(','),
  };
}

/** The kernel escapes space, tab, newline, backslash and `#` as a backslash and three octal digits. */
function unescapeOctal(field: string): string {
  if (!field.includes('\\')) return field;
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** The innermost of mounts around one path; of several at one place the last, which is the visible one. */
export const innermostOf = (mounts: readonly MountEntry[]): MountEntry | undefined =>
  mounts.toSorted((a, b) => a.mountPoint.length - b.mountPoint.length).at(-1);

let own: string | undefined;

/** The inode number of this process's mount namespace, unique while the namespace exists. */
export function ownMountNamespace(): string {
  // `mnt:[4026531841]`
  own ??= readlinkSync('/proc/self/ns/mnt').replaceAll(/\D/g, '');
  return own;
}
