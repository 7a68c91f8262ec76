/** An OCI runtime, and the options of its calls. */
import type { ProcessIdentity } from '../sys/processes.ts';
import type { Fd } from '../sys/system.ts';

export type RuntimeKind = 'runc' | 'crun' | 'runsc' | 'other';

/** Identifies a runtime, in this process and in others. */
export interface RuntimeIdentity {
  readonly kind: RuntimeKind;
  /** Absolute path of the executable. */
  readonly path: string;
  /** The version as printed by the runtime: `1.3.6`. */
  readonly version: string;
}

export interface Runtime extends RuntimeIdentity {
  /** A copy of the executable in huge pages, to start instead. Absent: there is none. */
  readonly copy?: string | undefined;
}

/** Identifies a container to the runtime. */
export interface ContainerReference {
  readonly id: string;
  /** The runtime's `--root`. */
  readonly stateRoot: string;
}

/** Bounds one call of the runtime. */
export interface RuntimeCallOptions {
  /** The runtime's JSON log; removed together with the task's folder. */
  readonly logFile: string;
  /** Kill the runtime after this time. Default: one minute. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface CreateContainerOptions extends ContainerReference, RuntimeCallOptions {
  /** The folder to create for `config.json`; it must not exist. */
  readonly bundle: string;
  readonly pidFile: string;
  /**
   * Become the task's stdin, stdout and stderr; the caller closes its copies. With a console they are the runtime's own. None may be a file of
   * the host, because a runtime makes the task's user its owner.
   */
  readonly stdio: readonly [Fd, Fd, Fd];
  readonly consoleSocket?: string | undefined;
  /** Whether the container uses the host's network namespace. Default: false. */
  readonly hostNetwork?: boolean;
}

/** A container whose init waits to be started: the init's host pid and start time. */
export type CreatedContainer = ProcessIdentity;

export interface StartContainerOptions extends RuntimeCallOptions {
  /** Whether the container's init has ended. Must use a descriptor, because the init may have become the command. */
  readonly hasEnded: () => boolean;
  /** The same value as at creation. */
  readonly hostNetwork?: boolean;
}

/** The files of one further command in a running container. */
export interface ExecFiles {
  /** The process to start, as JSON. */
  readonly processFile: string;
  /** Receives the process's host pid from the runtime. */
  readonly pidFile: string;
  /** Receives the pid within the sandbox from the sandbox. */
  readonly innerPidFile: string;
  /** With a terminal: the socket to which the runtime sends the master. */
  readonly consoleSocket?: string | undefined;
}
