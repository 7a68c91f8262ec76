/** The differences between the kinds of OCI runtimes. Callers ask a driver; they never ask which runtime it is. */
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
  /** The first fixed version of each release line, oldest line first; versions before the first line are vulnerable, too. */
  readonly fixedIn: readonly string[];
}

/** A process that exists only inside of its container. */
export interface InnerProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly user: number;
  readonly cpuMs: number | null;
  /** Its program's name. */
  readonly name: string;
}

/** How a runtime starts a further command in a running container. The runtime ends when the command runs. */
export interface ExecDriver {
  /** The command line after the beginning of `toArguments`. Throws ERR_STACKSHIM_HOST_UNSUPPORTED if the runtime cannot do this for the container. */
  toArguments(container: ContainerReference, files: ExecFiles): readonly string[];
  /**
   * Sends a signal to a command inside of a sandbox; it does not wait and never throws. Undefined: the command is a process of the host and
   * leads a process group.
   */
  readonly signaller?: (
    container: ContainerReference,
    innerPid: number,
  ) => (signal: number) => void;
  /** The command's exit, from that of the process that the runtime reported. */
  toExit(exit: ProcessExit): ProcessExit;
}

export interface RuntimeDriver {
  /** The oldest version that stackshim can use. Undefined: any version. */
  readonly oldestVersion?: string;
  readonly holes: readonly Hole[];
  /** Whether the runtime fails on a host that has both cgroup versions mounted. */
  readonly refusesHybridCgroups: boolean;

  /** The beginning of each command line. */
  toArguments(
    options: Pick<CreateContainerOptions, 'id' | 'stateRoot' | 'logFile' | 'hostNetwork'>,
  ): string[];
  /** Whether `create` reads its configuration once: then it can be started before the configuration is written, and reads it from a pipe. */
  readonly readsConfigOnce: boolean;
  /** Whether the executable is so large that it starts measurably faster from huge pages. */
  readonly gainsFromHugePages: boolean;
  /** Whether a prepared `/dev` saves a runtime in a user namespace the work of binding each device node there. */
  readonly gainsFromDev: boolean;
  /** Whether what is mounted below the root filesystem stays mounted in the container, whatever the task does. */
  readonly keepsMountsOfRootfs: boolean;
  /** Whether the runtime looks up the command when it starts the container, not when it creates it. */
  readonly findsCommandAtStart: boolean;
  /** Whether a process that the runtime reports is the container's init; `listed` lists the processes of its cgroup. */
  isOwnInit(pid: number, listed: () => readonly number[]): boolean;
  /** Starts a created container without starting a program. Undefined: run the command `start`. */
  readonly releaseInit?: (
    container: ContainerReference,
    options: StartContainerOptions,
  ) => Promise<void>;

  /** Starts further commands in a running container. Undefined: the runtime cannot, or nothing is known about how it does. */
  readonly exec?: ExecDriver;

  /** Whether any state of a container is left in the runtime's folder. */
  hasState(container: ContainerReference): boolean;
  /** Makes the runtime forget a dead container without starting a program; a second call does nothing. Undefined: run the command `delete`. */
  readonly removeState?: (container: ContainerReference) => Promise<void>;

  /** Watches the exit of the container's command. Called before the command is started; throws if its process cannot be watched. */
  watchExit(child: ChildToWatch, container: ContainerReference): ExitSource;
  /**
   * Returns a function that sends a signal to every process of a container; it does not wait and never throws. Undefined: the processes are
   * processes of the host, which the kernel signals.
   */
  readonly signaller?: (container: ContainerReference) => (signal: number) => void;
  /** Lists the processes of a container, if they are no processes of the host. Resolves to undefined if the container does not answer in time. */
  readonly listInside?: (
    container: ContainerReference,
  ) => Promise<readonly InnerProcess[] | undefined>;
  /** Whether the command is pid 1 of the container's pid namespace, as seen from the host. */
  readonly initIsPid1: boolean;

  /** Whether the kernel enforces the host's restrictions of a bind, even against a task that may mount. */
  readonly locksBinds: boolean;
  /** Whether a file server opens the files of binds, as root of the task's user namespace, whatever user runs the command. */
  readonly servesBinds: boolean;
  /** Whether tasks can have devices of the host. */
  readonly givesDevices: boolean;
  /** Whether tasks use sockets of the host's kernel, which has settings for them, counts them and lists them. */
  readonly usesHostSockets: boolean;
}
