/**
 * Device nodes for a task. A runtime in a user namespace cannot make nodes: it binds the host's, which only the host's root may open.
 * On many hosts no node can be opened on the filesystem of the run folder. So the nodes are on a tmpfs of their own.
 */
import { chmodSync } from 'node:fs';
import type { DevicesMount } from '../core/mount.ts';
import { ensureDirectorySync } from '../sys/files.ts';
import { MOUNT_ATTR, type System } from '../sys/system.ts';
import type { RootfsOwner } from './mount-overlay.ts';

/**
 * Mounts the filesystem at its target (created if missing) and creates the nodes, which every user of the task may open. On the host only
 * root and, if the task has a user namespace, its root reach them. On failure nothing stays attached.
 */
export function mountDevices(
  system: System,
  { target, nodes }: DevicesMount,
  owner: RootfsOwner | null,
): void {
  ensureDirectorySync(target, 0o700);
  attachTmpfs(system, target, owner);
  try {
    for (const [index, node] of nodes.entries()) {
      const path = `${target}/${index}`;
      system.makeDeviceNode(path, node);
      // Set the mode after mknod, whose mode the umask would restrict.
      chmodSync(path, 0o666);
    }
  } catch (error) {
    system.detachMount(target);
    throw error;
  }
}

function attachTmpfs(system: System, target: string, owner: RootfsOwner | null): void {
  const context = system.fsOpen('tmpfs');
  try {
    system.fsConfigString(context, 'mode', owner === null ? '0700' : '0710');
    if (owner !== null) system.fsConfigString(context, 'gid', String(owner.ids.base));
    system.fsConfigString(context, 'size', '4k');
    system.fsConfigCreate(context);
    const made = system.fsMount(context, MOUNT_ATTR.NOSUID | MOUNT_ATTR.NOEXEC);
    try {
      system.attachMount(made, target);
    } finally {
      system.close(made);
    }
  } finally {
    system.close(context);
  }
}
