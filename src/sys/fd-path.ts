/** Paths of open files. They lead to the open file itself, even if another file has its name by now. */
import type { Fd } from './system.ts';

/** Opens a file neither for reading nor for writing, so that devices and FIFOs can be inspected: open(2). Same number on x86-64 and arm64. */
export const O_PATH = 0x20_0000;

export const fdPath = (fd: Fd): string => `/proc/self/fd/${fd}`;

/** The path of an entry in an open folder. */
export const entryOf = (folder: Fd, name: string): string => `${fdPath(folder)}/${name}`;
