/**
 * Makes private nodes of the null device. Runtimes and tasks do not get the host's node: crun changes the owner of each stream that it is
 * given to the task's user, who could then change the mode of the node that the whole host uses.
 */
import { chmodSync, constants, openSync, unlinkSync } from 'node:fs';
import { entryOf } from './fd-path.ts';
import { linuxSystem } from './linux-system.ts';
import { type Fd, MOUNT_ATTR } from './system.ts';

const NULL = { type: 'c', major: 1, minor: 3 } as const;
const FLAGS = { input: constants.O_RDONLY, both: constants.O_RDWR } as const;

/** A detached mount, made once per thread. Its nodes have no names any more, so only a holder of an open node can reach it. */
let place: Fd | undefined;
let made = 0;

/**
 * Opens a null device node that nobody else has, on a detached filesystem. With `input` the node can only be read, which returns the end of
 * file at once. The caller closes it with `node:fs`.
 */
export function openNullDevice(use: keyof typeof FLAGS): Fd {
  place ??= mountPlace();
  made += 1;
  const path = entryOf(place, String(made));
  linuxSystem.makeDeviceNode(path, NULL);
  try {
    // Use the mode of the host's device, because a program may open its descriptor again by name.
    chmodSync(path, 0o666);
    return openSync(path, FLAGS[use] | constants.O_NOFOLLOW);
  } finally {
    unlinkSync(path);
  }
}

/** Called once per thread: releasing the mount takes the kernel longer than everything else here. */
function mountPlace(): Fd {
  const system = linuxSystem;
  const context = system.fsOpen('tmpfs');
  try {
    system.fsConfigString(context, 'size', '4k');
    system.fsConfigCreate(context);
    return system.fsMount(context, MOUNT_ATTR.NOSUID | MOUNT_ATTR.NOEXEC);
  } finally {
    system.close(context);
  }
}
