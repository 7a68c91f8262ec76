/** Pipes and terminals of tasks, for the engine that runs this code. */
import { pipeIo } from '#pipe-io';

export type { ChunkListener, Drain, Feed, TerminalMaster } from './pipe-io/contract.ts';
export const { drainPipe, feedPipe, openSink, openTerminal } = pipeIo;
