/** The mount table of this process, as values: /proc/self/mountinfo; and which mount namespace it is of. */
import { readFileSync, readlinkSync } from 'node:fs';
import { StackshimError } from '../core/errors.ts';

/** One line of proc_pid_mountinfo(5). */
export interface MountEntry {
  readonly id: number;
  readonly parentId: number;
  /** `major:minor` of the filesystem. */
  readonly device: string;
  /** The folder of the filesystem that is seen at `mountPoint`. */
  readonly root: string;
  readonly mountPoint: string;
  readonly options: readonly string[];
  /** Propagation tags: `shared:N`, `master:N`, …; empty for a private mount. */
  readonly propagation: readonly string[];
  readonly filesystem: string;
  readonly source: string;
  /** Options of the filesystem itself; for cgroup v1 its controllers. */
  readonly superOptions: readonly string[];
}

/** The mounts in a mountinfo text, in its order (a later one hides an earlier one at the same place). Throws ERR_STACKSHIM_SYSTEM on a malformed line. */
export function parseMountinfo(text: string): readonly MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split('\n')) {
    if (line !== '') entries.push(parseLine(line));
  }
  return entries;
}

/** The mounts of this process's namespace now. Blocks; its cost grows with their number. */
export function readMounts(): readonly MountEntry[] {
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** Only those whose line holds `word`: on a host with hundreds of mounts, parsing them all costs a millisecond. */
export function readMountsWith(word: string): readonly MountEntry[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return parseMountinfo(lines.filter((line) => line.includes(word)).join('\n'));
}

function parseLine(line: string): MountEntry {
  const fields = line.split(' ');
  // Between the sixth field and the lone hyphen stand zero or more optional fields.
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
    throw new StackshimError(
      'ERR_STACKSHIM_SYSTEM',
      `parse mountinfo: malformed line ${JSON.stringify(line.slice(0, 200))}`,
    );
  }
  return {
    id: Number(id),
    parentId: Number(parentId),
    device,
    root: unescapeOctal(root),
    mountPoint: unescapeOctal(mountPoint),
    options: options.split(','),
    propagation: fields.slice(6, hyphen),
    filesystem: unescapeOctal(filesystem),
    source: unescapeOctal(source),
    superOptions: unescapeOctal(superOptions).split(','),
  };
}

/** The kernel writes space, tab, newline, backslash and `#` as a backslash and three octal digits. */
function unescapeOctal(field: string): string {
  if (!field.includes('\\')) return field;
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

let own: string | undefined;

/** The mount namespace of this process, by the inode number that the kernel gives it while it exists. */
export function ownMountNamespace(): string {
  // `mnt:[4026531841]`
  own ??= readlinkSync('/proc/self/ns/mnt').replaceAll(/\D/g, '');
  return own;
}
