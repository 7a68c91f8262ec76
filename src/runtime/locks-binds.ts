/** Whether a runtime holds the restrictions that the host has put on a bind. */
import type { Runtime } from './runtime.ts';

/**
 * The kernel locks the flags of a mount that is copied into a mount namespace of fewer rights, as under runc. crun opens binds outside
 * and moves them in: nothing is locked, and it sets all flags anew. In gVisor it is the host's side that is written to.
 */
export const locksBinds = ({ kind }: Pick<Runtime, 'kind'>): boolean =>
  kind === 'runc' || kind === 'runsc';
