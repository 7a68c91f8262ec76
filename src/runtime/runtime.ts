/** An OCI runtime that was found, and what is asked of it. */
import type { ProcessIdentity } from '../sys/processes.ts';
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

/** Bounds one call of the runtime. */
export interface RuntimeCallOptions {
  /** Where the runtime writes its JSON log; removed by whoever removes the task's folder. */
  readonly logFile: string;
  /** After this time the call is given up. Default: one minute. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface CreateContainerOptions extends ContainerReference, RuntimeCallOptions {
  /** Folder to be made for `config.json`; must not exist. */
  readonly bundle: string;
  readonly pidFile: string;
  /**
   * Descriptors that become the task's stdin, stdout and stderr; the caller closes its copies. With a console they are the runtime's own.
   * None of them may be of a file of the host: a runtime gives them to the task's user.
   */
  readonly stdio: readonly [Fd, Fd, Fd];
  readonly consoleSocket?: string | undefined;
  /** The container has the host's network namespace. Default: false. */
  readonly hostNetwork?: boolean;
}

/** A container whose init waits to be started: the host's pid of that init, and when it began. */
export type CreatedContainer = ProcessIdentity;

export interface StartContainerOptions extends RuntimeCallOptions {
  /** Whether the container's init has ended: asked of a descriptor, since it may have become the command. */
  readonly hasEnded: () => boolean;
  /** As it was created. */
  readonly hostNetwork?: boolean;
}
