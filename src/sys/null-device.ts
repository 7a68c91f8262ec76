/**
 * The null device as a file of its own. The host's node is not for runtimes and tasks: crun gives each stream that it is handed to the
 * task's user, who may then change the mode of what everybody on the host uses.
 */
import { chmodSync, constants, openSync, unlinkSync } from 'node:fs';
import { linuxSystem } from './linux-system.ts';
import { entryOf } from './paths.ts';
import { type Fd, MOUNT_ATTR } from './system.ts';

const NULL = { type: 'c', major: 1, minor: 3 } as const;
const FLAGS = { input: constants.O_RDONLY, both: constants.O_RDWR } as const;

/** A detached mount of this thread. Its nodes have lost their names: only who has a node open can reach it. */
let place: Fd | undefined;
let made = 0;

/**
 * Opens a node that nobody else has, on a filesystem that is attached nowhere. `input`: it can be read from, which gives the end at
 * once, and not be written to. The caller closes it with `node:fs`.
 */
export function openNullDevice(use: keyof typeof FLAGS): Fd {
  place ??= mountPlace();
  made += 1;
  const path = entryOf(place, String(made));
  linuxSystem.makeDeviceNode(path, NULL);
  try {
    // The mode of the host's device: a program may open its descriptor again by name.
    chmodSync(path, 0o666);
    return openSync(path, FLAGS[use] | constants.O_NOFOLLOW);
  } finally {
    unlinkSync(path);
  }
}

/** Called once for each thread: releasing a mount takes the kernel longer than everything else here. */
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
