/** An OCI runtime, and the options of its calls. */
import type { ProcessIdentity } from '../sys/processes.ts';
import type { Fd } from '../sys/system.ts';

export type RuntimeKind = 'runc' | 'crun' | 'runsc' | 'other';

/** What identifies a runtime, in this process and in others. */
export interface RuntimeIdentity {
  readonly kind: RuntimeKind;
  /** Absolute path of the executable. */
  readonly path: string;
  /** The version as the runtime prints it: `1.3.6`. */
  readonly version: string;
}

export interface Runtime extends RuntimeIdentity {
  /** A copy of the executable in huge pages, which is started in its place. Absent: there is none. */
  readonly copy?: string | undefined;
}

/** Names a container to the runtime. */
export interface ContainerReference {
  readonly id: string;
  /** The runtime's `--root`. */
  readonly stateRoot: string;
}

/** Bounds one call of the runtime. */
export interface RuntimeCallOptions {
  /** The file for the runtime's JSON log; it is removed together with the task's folder. */
  readonly logFile: string;
  /** After this time the runtime is killed. Default: one minute. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface CreateContainerOptions extends ContainerReference, RuntimeCallOptions {
  /** The folder that is created for `config.json`; it must not exist. */
  readonly bundle: string;
  readonly pidFile: string;
  /**
   * Descriptors that become the task's stdin, stdout and stderr; the caller closes its copies. With a console they belong to the runtime
   * itself. None of them may be of a file of the host, because a runtime makes the task's user their owner.
   */
  readonly stdio: readonly [Fd, Fd, Fd];
  readonly consoleSocket?: string | undefined;
  /** Whether the container uses the host's network namespace. Default: false. */
  readonly hostNetwork?: boolean;
}

/** A container whose init waits to be started: the init's pid on the host and its start time. */
export type CreatedContainer = ProcessIdentity;

export interface StartContainerOptions extends RuntimeCallOptions {
  /** Whether the container's init has ended. It uses a descriptor, because the init may have become the command. */
  readonly hasEnded: () => boolean;
  /** The same value as at creation. */
  readonly hostNetwork?: boolean;
}

/** The files of one further command in a running container. */
export interface ExecFiles {
  /** The process to start, as JSON. */
  readonly processFile: string;
  /** The runtime writes the process's pid on the host here. */
  readonly pidFile: string;
  /** A sandbox writes the pid inside of it here. */
  readonly innerPidFile: string;
  /** With a terminal: the socket to which the runtime sends the master. */
  readonly consoleSocket?: string | undefined;
}
