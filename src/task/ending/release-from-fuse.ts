/** Aborts a task's FUSE filesystems that its killed processes wait for: such a process cannot end, and may itself keep the filesystem alive. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tolerate, unlessFailed, unlessMissing } from '../../core/errors.ts';
import { slotOfUser } from '../../sys/handled-process.ts';
import { parseMountinfo } from '../../sys/mountinfo.ts';
import { fdPath, withSystemFd } from '../../sys/paths.ts';
import { type Fd, makeMount, type System } from '../../sys/system.ts';
import type { KillContext } from './kill-processes.ts';

/** The number of a task's processes to inspect per call: the others have the same slot, and mostly the same mounts. */
const MOST_PROCESSES = 32;
/** How much of their mount tables to read per call, because a task decides how long they are. */
const MOST_TABLE_BYTES = 8 * 1024 * 1024;

/**
 * Aborts a task's FUSE connections, so that every process waiting for such a filesystem gets an error. Call it again
 * while processes are left. A connection owned by a slot's ids belongs to the task in the slot. A task in the host's user
 * namespace has no ids of its own: its connections are those of mounts that its processes see and the host does not.
 *
 * Reads the connections from its own detached mount of the kernel's control filesystem
 * (Documentation/filesystems/fuse/fuse.rst). Does nothing on a kernel without FUSE.
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
    // Each connection's folder is named by the device number in the kernel's form, and belongs to the user who mounted the filesystem.
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

/** The processes' slots; for processes in the host's user namespace, the devices of FUSE filesystems that they see and the host does not. */
async function lookAt(
  { system, cgroups }: KillContext,
  cgroupsPath: string,
  stuck: readonly number[],
) {
  const slots = new Set<number>();
  const tables: string[] = [];
  let bytesLeft = MOST_TABLE_BYTES;
  for (const pid of stuck.slice(0, MOST_PROCESSES)) {
    // EINVAL: the pid belongs to a thread by now.
    const pidfd = unlessFailed(() => system.openPidfd(pid), ['ESRCH', 'EINVAL', 'ENOENT']);
    if (pidfd === undefined) continue;
    try {
      if (!cgroups.listProcesses(cgroupsPath).includes(pid)) continue;
      const found = slotOf(pid) ?? (await readTable(pid, bytesLeft));
      // The pid may belong to another process by now.
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

/** The slot of a process's user namespace; undefined in the host's user namespace, where a process can take any user's id. */
function slotOf(pid: number): number | undefined {
  const map = unlessFailed(() => readFileSync(`/proc/${pid}/uid_map`, 'latin1'), GONE);
  const [, base] = map?.trim().split(/\s+/) ?? [];
  return base === undefined ? undefined : slotOfUser(Number(base));
}

/** Reads the start of a process's mount table, without asking the process or filesystems. Empty if it has left its mount namespace. */
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
    // The last line may be incomplete.
    const lines = table.slice(0, table.lastIndexOf('\n') + 1).split('\n');
    const fuse = lines.filter((line) => line.includes(' - fuse'));
    for (const { device, filesystem } of parseMountinfo(fuse.join('\n'))) {
      if (!/^fuse(blk)?(\.|$)/.test(filesystem)) continue;
      // The form in which the control filesystem writes it.
      const [major = 0, minor = 0] = device.split(':').map(Number);
      devices.add(major * 2 ** 20 + minor);
    }
  }
  return devices;
}

const openControl = (system: System): Fd | undefined =>
  unlessFailed(() => makeMount(system, 'fusectl', { settings: [], attributes: 0 }), ['ENODEV']);
