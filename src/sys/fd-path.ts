/** Paths of open files: they lead to the open file itself, wherever its name leads by now. */
import type { Fd } from './system.ts';

/** Opens nothing to read or write, so that devices and FIFOs can be looked at. open(2): the same number on x86-64 and arm64. */
export const O_PATH = 0x20_0000;

export const fdPath = (fd: Fd): string => `/proc/self/fd/${fd}`;

/** The path of an entry of an open folder. */
export const entryOf = (folder: Fd, name: string): string => `${fdPath(folder)}/${name}`;
