/** What the kinds of OCI runtimes differ in. Callers ask a driver; none of them asks which runtime it is. */
import type { ChildToWatch, ExitSource } from '../exit-source.ts';
import type {
  ContainerReference,
  RuntimeCallOptions,
  RuntimeKind,
  StartContainerOptions,
} from '../runtime.ts';

/** A published vulnerability that lets a task out of its container. */
export interface Hole {
  readonly id: string;
  /** First fixed version of each release line, oldest line first; versions before the first line have the hole too. */
  readonly fixedIn: readonly string[];
}

export interface ArgumentOptions extends ContainerReference, Pick<RuntimeCallOptions, 'logFile'> {
  /** The container has the host's network namespace. */
  readonly hostNetwork?: boolean;
}

export interface RuntimeDriver {
  readonly kind: RuntimeKind;

  /** Older versions lack what stackshim relies on. Undefined: any version will do. */
  readonly oldestVersion?: string;
  readonly holes: readonly Hole[];
  /** The runtime does not work on a host that has both cgroup versions mounted. */
  readonly refusesHybridCgroups: boolean;

  /** What every call of its command line begins with. */
  toArguments(options: ArgumentOptions): string[];
  /** `create` reads its configuration once, so that it can be started before that is written, and reads it from a pipe. */
  readonly readsConfigOnce: boolean;
  /** The runtime looks for the command when it starts the container, not when it creates it. */
  readonly findsCommandAtStart: boolean;
  /** Whether a process that the runtime reports is the container's init; `listed` lists the processes of its cgroup. */
  isOwnInit(pid: number, listed: () => readonly number[]): boolean;
  /** Starts a created container without a program. Undefined: by the command `start`. */
  readonly releaseInit?: (
    container: ContainerReference,
    options: StartContainerOptions,
  ) => Promise<void>;

  /** Whether anything is left of what the runtime knew of a container. */
  hasState(container: ContainerReference): boolean;
  /** Makes the runtime forget a dead container without a program; a second call does nothing. Undefined: by the command `delete`. */
  readonly removeState?: (container: ContainerReference) => Promise<void>;

  /** How the exit of the container's command is learnt. Called before it is started; throws when its process cannot be watched. */
  watchExit(child: ChildToWatch, container: ContainerReference): ExitSource;
  /**
   * What sends a signal to every process of a container, without waiting for it and without ever throwing. Undefined: the kernel does, as the
   * processes are the host's.
   */
  readonly signaller?: (container: ContainerReference) => (signal: number) => void;
  /** The command is pid 1 of the container's pid namespace as the host sees it. */
  readonly initIsPid1: boolean;

  /** The kernel holds the restrictions that the host has put on a bind against a task that may mount. */
  readonly locksBinds: boolean;
  /** Files of binds are opened by a server, as root of the task's user namespace, whoever the command runs as. */
  readonly servesBinds: boolean;
  /** Tasks can have devices of the host. */
  readonly givesDevices: boolean;
  /** Sockets of tasks are sockets of the host's kernel, which has settings for them, counts them and lists them. */
  readonly usesHostSockets: boolean;
}
