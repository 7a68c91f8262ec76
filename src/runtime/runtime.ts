/** An OCI runtime that was found, and what is asked of it. */
import type { Fd } from '../sys/system.ts';

export type RuntimeKind = 'runc' | 'crun' | 'runsc' | 'other';

export interface Runtime {
  readonly kind: RuntimeKind;
  /** Absolute path of the executable. */
  readonly path: string;
  /** `1.3.6`; as the runtime says it. */
  readonly version: string;
}

/** A container as the runtime knows it. */
export interface ContainerReference {
  readonly id: string;
  /** The runtime's `--root`. */
  readonly stateRoot: string;
}

export interface CreateContainerOptions extends ContainerReference {
  /** Folder that holds `config.json`. */
  readonly bundle: string;
  /** Where the runtime writes its JSON log; removed by whoever removes the task's folder. */
  readonly logFile: string;
  readonly pidFile: string;
  /** Descriptors that become the task's stdin, stdout and stderr; the caller closes its copies. With a console they are the runtime's own. */
  readonly stdio: readonly [Fd | 'ignore', Fd | 'ignore', Fd | 'ignore'];
  readonly consoleSocket?: string;
}

/** A container whose init waits to be started. */
export interface CreatedContainer {
  /** Host pid of the container's init. */
  readonly pid: number;
}
