/**
 * The folder of locks that all installations of this machine share, those of tests as well: who has a number of it has ids of the host, and
 * ends every process of such an id. Suites with folders of their own would have the same ids and end each other's programs. A test of the folder itself
 * has one, and claims slots alone: nothing is ended for a slot.
 */
import { layoutFrom } from '../../../src/core/layout.ts';

export const MACHINE_SLOTS = layoutFrom({}, {}).slots;
