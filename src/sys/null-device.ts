/**
 * The null device as a file of its own. The host's node is not for runtimes and tasks: crun gives each stream that it is handed to the
 * task's user, who may then change the mode of what everybody on the host uses.
 */
import { chmodSync, constants, openSync } from 'node:fs';
import { entryOf } from './fd-path.ts';
import { linuxSystem } from './linux-system.ts';
import { type Fd, MOUNT_ATTR } from './system.ts';

const NULL = { type: 'c', major: 1, minor: 3 } as const;
const FLAGS = { input: constants.O_RDONLY, both: constants.O_RDWR } as const;

/**
 * Opens a node that nobody else has, on a filesystem that is attached nowhere and goes with the last descriptor. `input`: it can be read
 * from, which gives the end at once, and not be written to. The caller closes it with `node:fs`.
 */
export function openNullDevice(use: keyof typeof FLAGS): Fd {
  const system = linuxSystem;
  const context = system.fsOpen('tmpfs');
  try {
    system.fsConfigString(context, 'size', '4k');
    system.fsConfigCreate(context);
    const mount = system.fsMount(context, MOUNT_ATTR.NOSUID | MOUNT_ATTR.NOEXEC);
    try {
      const path = entryOf(mount, 'null');
      system.makeDeviceNode(path, NULL);
      // As the host's: whoever has it may open it again by the name of the descriptor.
      chmodSync(path, 0o666);
      return openSync(path, FLAGS[use] | constants.O_NOFOLLOW);
    } finally {
      system.close(mount);
    }
  } finally {
    system.close(context);
  }
}
