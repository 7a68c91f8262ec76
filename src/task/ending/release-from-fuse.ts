/** Ends FUSE filesystems of a task whose killed processes wait for them: such a process cannot end, and may itself keep the filesystem alive. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tolerate, unlessMissing } from '../../core/errors.ts';
import { slotOfUser } from '../../sys/handled-process.ts';
import { parseMountinfo } from '../../sys/mountinfo.ts';
import { fdPath, withSystemFd } from '../../sys/paths.ts';
import { type Fd, makeMount, type System } from '../../sys/system.ts';
import type { KillContext } from './kill-processes.ts';

/** How many processes of a task are looked at in one call: the others of the same task have the same slot, and mostly the same mounts. */
const MOST_PROCESSES = 32;
/** How much of their mount tables is read in one call: a task chooses how long they are. */
const MOST_TABLE_BYTES = 8 * 1024 * 1024;

/**
 * Aborts the FUSE connections of a task: every process that waits for such a filesystem gets an error. Call it again while processes are left.
 * Connections of a slot's ids belong to the task that has the slot. A task in the user namespace of the host has no ids of its own: its
 * connections are those that its processes see mounted and the host does not.
 *
 * Reads the connections from its own detached mount of the kernel's control filesystem (Documentation/filesystems/fuse/fuse.rst). Does
 * nothing on a kernel without FUSE.
 *
 * @param stuck Killed processes of the cgroup that have not ended.
 */
export async function releaseFromFuse(
  context: KillContext,
  cgroupsPath: string,
  stuck: readonly number[],
): Promise<void> {
  const control = openControl(context.system);
  if (control === undefined) return;
  await withSystemFd(context.system, control, async () => {
    // The folder of each connection has the kernel's number of its device as its name, and belongs to the user that mounted it.
    const connections = readdirSync(fdPath(control)).flatMap((name) => {
      const folder = `${fdPath(control)}/${name}`;
      const uid = unlessMissing(() => statSync(folder).uid);
      return uid === undefined ? [] : [{ device: Number(name), slot: slotOfUser(uid), folder }];
    });
    if (connections.length === 0) return;
    const { slots, mounted } = await lookAt(context, cgroupsPath, stuck);
    for (const { device, slot, folder } of connections) {
      const isOfTask = (slot !== undefined && slots.has(slot)) || mounted.has(device);
      if (isOfTask) unlessMissing(() => writeFileSync(`${folder}/abort`, '1', { flag: 'r+' }));
    }
  });
}

/** The slots of the processes, and the devices of FUSE filesystems that those in the host's user namespace see and the host does not. */
async function lookAt(
  { system, cgroups }: KillContext,
  cgroupsPath: string,
  stuck: readonly number[],
) {
  const slots = new Set<number>();
  const tables: string[] = [];
  let bytesLeft = MOST_TABLE_BYTES;
  for (const pid of stuck.slice(0, MOST_PROCESSES)) {
    // EINVAL: the pid is that of a thread by now.
    const pidfd = unlessMissing(() => system.openPidfd(pid), ['ESRCH', 'EINVAL', 'ENOENT']);
    if (pidfd === undefined) continue;
    try {
      if (!cgroups.listProcesses(cgroupsPath).includes(pid)) continue;
      const found = slotOf(pid) ?? (await readTable(pid, bytesLeft));
      // Another process may have got the pid.
      if (system.hasEnded(pidfd)) continue;
      if (typeof found === 'number') slots.add(found);
      else {
        bytesLeft -= found.length;
        tables.push(found);
      }
    } finally {
      system.close(pidfd);
    }
  }
  const mounted = fuseDevicesIn(tables);
  if (mounted.size === 0) return { slots, mounted };
  const ofHost = fuseDevicesIn(
    ['self', '1'].map((pid) => readFileSync(`/proc/${pid}/mountinfo`, 'latin1')),
  );
  return { slots, mounted: new Set([...mounted].filter((device) => !ofHost.has(device))) };
}

const GONE = ['ENOENT', 'ESRCH', 'EINVAL'];

/** The slot whose ids a process's user namespace has; undefined in the user namespace of the host, in which a process can take any user's id. */
function slotOf(pid: number): number | undefined {
  const map = unlessMissing(() => readFileSync(`/proc/${pid}/uid_map`, 'latin1'), GONE);
  const [, base] = map?.trim().split(/\s+/) ?? [];
  return base === undefined ? undefined : slotOfUser(Number(base));
}

/** The beginning of a process's mount table. The kernel asks neither the process nor its filesystems for it. Empty if the process has left its mount namespace. */
async function readTable(pid: number, mostBytes: number): Promise<string> {
  const pieces: Buffer[] = [];
  let left = mostBytes;
  const file = await open(`/proc/${pid}/mountinfo`).catch(tolerate(...GONE));
  try {
    while (file !== undefined && left > 0) {
      const piece = Buffer.allocUnsafe(Math.min(left, 65_536));
      const { bytesRead } = await file.read(piece, 0, piece.length);
      if (bytesRead === 0) break;
      pieces.push(piece.subarray(0, bytesRead));
      left -= bytesRead;
    }
  } finally {
    await file?.close();
  }
  return Buffer.concat(pieces).toString('latin1');
}

function fuseDevicesIn(tables: readonly string[]): ReadonlySet<number> {
  const devices = new Set<number>();
  for (const table of tables) {
    // The last line may be cut off.
    const lines = table.slice(0, table.lastIndexOf('\n') + 1).split('\n');
    const fuse = lines.filter((line) => line.includes(' - fuse'));
    for (const { device, filesystem } of parseMountinfo(fuse.join('\n'))) {
      if (!/^fuse(blk)?(\.|$)/.test(filesystem)) continue;
      // As the control filesystem writes it.
      const [major = 0, minor = 0] = device.split(':').map(Number);
      devices.add(major * 2 ** 20 + minor);
    }
  }
  return devices;
}

const openControl = (system: System): Fd | undefined =>
  unlessMissing(() => makeMount(system, 'fusectl', { settings: [], attributes: 0 }), ['ENODEV']);
