/** Watches folders: inotify(7). */
import { invoke } from './invoke.ts';
import type { System } from './system.ts';

const IN_NONBLOCK_CLOEXEC = 0x8_0800;
/** MOVED_FROM, MOVED_TO, CREATE, DELETE, DELETE_SELF and MOVE_SELF; ONLYDIR and DONT_FOLLOW refuse anything but a folder that is not a link. */
const MASK = 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800 | 0x100_0000 | 0x200_0000;

export const linuxWatches: Pick<System, 'watchFolder'> = {
  watchFolder(path) {
    const fd = invoke({ name: 'inotify_init1' }, 'inotify_init1', IN_NONBLOCK_CLOEXEC);
    try {
      invoke({ name: 'inotify_add_watch', subject: path }, 'inotify_add_watch', fd, path, MASK);
      return fd;
    } catch (error) {
      invoke({ name: 'close' }, 'close', fd);
      throw error;
    }
  },
};
