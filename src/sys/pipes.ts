/** Pipes to and from tasks, in whichever engine this is. */
import { pipeIo } from '#pipe-io';

export type { ChunkListener, Drain } from './pipe-io/contract.ts';
export const { drainPipe, feedPipe } = pipeIo;
