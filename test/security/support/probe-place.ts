/** Where probes run: one interface over stackshim, docker and a container that stops nothing. */

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
  /** What the caller has in its own environment. */
  readonly callerEnv: Readonly<Record<string, string>>;
  readonly payload?: string;
  /** A folder of the host with the program, at /task. */
  readonly code?: string;
  /** For the open container alone. */
  readonly open: OpenContainer;
  readonly sceneFolder: string;
}

export interface PlacedContainer {
  readonly program: WatchedProgram;
  /** The host's id of its first process. */
  findPid(): Promise<number>;
  /** Where the host has its writable layer. */
  readonly writtenTo: () => Promise<string>;
  /** Ends it at once and removes it. */
  stop(): Promise<void>;
}

export interface ProbePlace {
  /** Replaces the operator's policy where there is one; null removes it. */
  setPolicy?(policy: object | null): void;
  readonly name: PlaceName;
  /** Everything of its containers is below them. */
  readonly folders: readonly string[];
  start(setting: ContainerSetting): PlacedContainer;
}
