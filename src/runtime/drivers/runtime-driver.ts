/** The differences between kinds of OCI runtimes. Callers ask a driver, never which runtime it is. */
import type { ProcessExit } from '../../sys/system.ts';
import type { ChildToWatch, ExitSource } from '../exit-source.ts';
import type {
  ContainerReference,
  CreateContainerOptions,
  ExecFiles,
  StartContainerOptions,
} from '../runtime.ts';

/** A published vulnerability that lets a task out of its container. */
export interface Hole {
  readonly id: string;
  /** The first fixed version of each release line, oldest line first. Versions before the first line are vulnerable, too. */
  readonly fixedIn: readonly string[];
}

/** A process that exists only inside its container. */
export interface InnerProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly user: number;
  readonly cpuMs: number | null;
  /** The program's name. */
  readonly name: string;
}

/** How a runtime starts a further command in a running container. The runtime ends when the command runs. */
export interface ExecDriver {
  /** The command line after that of `toArguments`. Throws ERR_STACKSHIM_HOST_UNSUPPORTED if the runtime cannot do this for the container. */
  toArguments(container: ContainerReference, files: ExecFiles): readonly string[];
  /** Signals a command inside a sandbox; neither waits nor throws. Undefined: the command is a host process and leads a process group. */
  readonly signaller?: (
    container: ContainerReference,
    innerPid: number,
  ) => (signal: number) => void;
  /** Derives the command's exit from that of the process that the runtime reported. */
  toExit(exit: ProcessExit): ProcessExit;
}

export interface RuntimeDriver {
  /** The oldest version that stackshim supports. Undefined: any. */
  readonly oldestVersion?: string;
  readonly holes: readonly Hole[];
  /** Whether the runtime fails on a host with both cgroup versions mounted. */
  readonly refusesHybridCgroups: boolean;

  /** The beginning of each command line. */
  toArguments(
    options: Pick<CreateContainerOptions, 'id' | 'stateRoot' | 'logFile' | 'hostNetwork'>,
  ): string[];
  /** Whether `create` reads its configuration once: then it can start before the configuration is written, and reads it from a pipe. */
  readonly readsConfigOnce: boolean;
  /** Whether the executable is so large that it starts measurably faster from huge pages. */
  readonly gainsFromHugePages: boolean;
  /** Whether a prepared `/dev` saves a runtime in a user namespace from binding each device node there. */
  readonly gainsFromDev: boolean;
  /** Whether mounts below the root filesystem stay mounted in the container, whatever the task does. */
  readonly keepsMountsOfRootfs: boolean;
  /** Whether the runtime looks the command up when it starts the container, not when it creates it. */
  readonly findsCommandAtStart: boolean;
  /** Whether a process reported by the runtime is the container's init; `listed` lists its cgroup's processes. */
  isOwnInit(pid: number, listed: () => readonly number[]): boolean;
  /** Starts a created container without starting a program. Undefined: run the command `start`. */
  readonly releaseInit?: (
    container: ContainerReference,
    options: StartContainerOptions,
  ) => Promise<void>;

  /** Starts further commands in a running container. Undefined: the runtime cannot, or it is unknown how. */
  readonly exec?: ExecDriver;

  /** Whether any of a container's state is left in the runtime's folder. */
  hasState(container: ContainerReference): boolean;
  /** Makes the runtime forget a dead container without starting a program. A second call does nothing. Undefined: run the command `delete`. */
  readonly removeState?: (container: ContainerReference) => Promise<void>;

  /** Watches the exit of the container's command. Call it before the start. Throws if the process cannot be watched. */
  watchExit(child: ChildToWatch, container: ContainerReference): ExitSource;
  /** Returns a function that signals all processes of a container; neither waits nor throws. Undefined: the kernel signals these host processes. */
  readonly signaller?: (container: ContainerReference) => (signal: number) => void;
  /** Lists a container's processes, if they are no host processes. Resolves to undefined if the container does not answer in time. */
  readonly listInside?: (
    container: ContainerReference,
  ) => Promise<readonly InnerProcess[] | undefined>;
  /** Whether the command is pid 1 of the container's pid namespace, as seen from the host. */
  readonly initIsPid1: boolean;

  /** Whether the kernel enforces the host's restrictions of a bind, even on a task that may mount. */
  readonly locksBinds: boolean;
  /** Whether a file server opens the files of binds as root of the task's user namespace, whatever user runs the command. */
  readonly servesBinds: boolean;
  /** Whether tasks can have devices of the host. */
  readonly givesDevices: boolean;
  /** Whether tasks use sockets of the host's kernel, which has settings for them, counts them and lists them. */
  readonly usesHostSockets: boolean;
}
