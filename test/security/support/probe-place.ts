/** The places in which probes run: one interface for stackshim, docker and a container without protection. */

import type { WatchedProgram } from '../../support/programs/watched-program.ts';
import type { OpenContainer, PlaceName, ProbeTask } from './probe.ts';

export interface ProbeBind {
  readonly source: string;
  readonly target: string;
  readonly readOnly?: boolean;
}

export interface ContainerSetting {
  readonly command: readonly string[];
  readonly task: ProbeTask;
  readonly env: Readonly<Record<string, string>>;
  readonly binds: readonly ProbeBind[];
  /** Variables in the caller's own environment. */
  readonly callerEnv: Readonly<Record<string, string>>;
  readonly payload?: string;
  /** A folder of the host with the program, mounted at /task. */
  readonly code?: string;
  /** For the open container only. */
  readonly open: OpenContainer;
  readonly sceneFolder: string;
}

export interface PlacedContainer {
  readonly program: WatchedProgram;
  /** The host pid of its first process. */
  findPid(): Promise<number>;
  /** The path of its writable layer on the host. */
  readonly writtenTo: () => Promise<string>;
  /** Ends it at once and removes it. */
  stop(): Promise<void>;
}

export interface ProbePlace {
  /** Replaces the operator's policy, if the place has one; null removes it. */
  setPolicy?(policy: object | null): void;
  readonly name: PlaceName;
  /** The folder above everything of its containers. */
  readonly folders: readonly string[];
  start(setting: ContainerSetting): PlacedContainer;
}
