/**
 * The folder of locks that all installations of this machine share, including those of tests: the holder of a number uses its host ids and
 * kills every process with these ids. Suites with folders of their own would have the same ids and kill each other's programs. A test of the folder itself
 * uses its own folder and claims only slots: that kills no process.
 */
import { layoutFrom } from '../../../src/core/layout.ts';

export const MACHINE_SLOTS = layoutFrom({}, {}).slots;
