/** Pipes and terminals of tasks, in whichever engine this is. */
import { pipeIo } from '#pipe-io';

export type { ChunkListener, Drain, Feed, TerminalMaster } from './pipe-io/contract.ts';
export const { drainPipe, openSink, sinkWriteBytes, loadTerminal } = pipeIo;
