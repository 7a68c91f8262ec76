/** What a probe of the escape battery is: one attempt to get out of a container, judged from outside of it. */
import type { StrangerMode } from '../../support/programs/stranger.ts';
import type { ProbeScene } from './probe-scene.ts';

export type ProbeGroup =
  | 'the runtime'
  | 'the kernel’s files'
  | 'system calls'
  | 'devices and rights'
  | 'the host'
  | 'other tasks'
  | 'resources'
  | 'other users of the host'
  | 'information';

/** `through`: it got what it went for. */
export type ProbeVerdict = 'held' | 'through';

export const toVerdict = (isThrough: boolean): ProbeVerdict => (isThrough ? 'through' : 'held');

/** Where a probe is run: in stackshim, in docker, or in a container that stops nothing. */
export type PlaceName = 'stackshim' | 'docker' | 'open';

/** What a task of a probe is given, everywhere alike. */
export interface ProbeTask {
  readonly user?: number;
  readonly workdir?: string;
  /** Targets of tmpfs mounts without a size. */
  readonly tmpfs?: readonly string[];
  readonly terminal?: boolean;
  /** It may serve filesystems of its own: the bundle `fuse`, which the probe's policy has to allow. */
  readonly fuse?: true;
  /** Soft and hard. */
  readonly openFiles?: number;
  readonly memory?: string;
  /** Space on disk; docker has no such limit to give on most filesystems. */
  readonly disk?: string;
  /** Instead of the program. */
  readonly command?: readonly string[];
  /** A block device of the host, to read. */
  readonly device?: string;
  /** Where it can be chosen. */
  readonly userns?: 'host';
}

/** An unprivileged user of the host, at work from before the container is set up until after it was removed. */
export interface Stranger {
  readonly mode: StrangerMode;
  /** What it looks for, writes or leaves: see the mode. */
  readonly what: (scene: ProbeScene) => string;
  /** Beside the folders of the place. */
  readonly where?: (scene: ProbeScene) => readonly string[];
}

/**
 * The container that a probe is shown to get out of. It has every capability, no filter, no limits, the host's user namespace,
 * nothing masked or read-only; and what is said here.
 */
export interface OpenContainer {
  /** Namespaces of the host that it is in. */
  readonly share?: readonly ('pid' | 'network' | 'ipc' | 'uts' | 'cgroup')[];
  /** The scene's folder, writable, at its own path. */
  readonly sceneFolder?: true;
  /** Its caller's environment. */
  readonly environment?: true;
  readonly workdir?: string;
  /** A folder of the host that the runtime leaves open in it as descriptor 3. */
  readonly leaked?: string;
  readonly command?: readonly string[];
  /** Its root is an overlay, mounted as other tools do. */
  readonly overlay?: true;
  /** Core files of any size. */
  readonly coreFiles?: true;
  /** What it is given is mounted on the host first, below its bundle, and then bound into it from there. */
  readonly hostBinds?: true;
  /** All containers of the scene have one root filesystem. */
  readonly sharedRoot?: true;
}

/** How far the program came, while it is still there if it has not ended. */
export interface ProbeAttempt {
  readonly place: PlaceName;
  /** The first 4 MiB. */
  readonly stdout: string;
  readonly stdoutBytes: number;
  /** The host's id of its first process; undefined when it has ended. */
  readonly pid: number | undefined;
  /** Where the host has what it wrote. */
  readonly writtenTo: string;
}

type Judge = (attempt: ProbeAttempt, scene: ProbeScene) => boolean | Promise<boolean>;

export interface Probe {
  readonly name: string;
  readonly group: ProbeGroup;
  /** For the document, as are the reasons. */
  readonly tries: string;
  readonly stoppedBy: string;
  /** What it goes for does harm with this runtime alone; with others it may have it (docs/security.md says what they do). */
  readonly onlyAgainst?: 'runc';
  readonly task?: ProbeTask;
  /** Lays out on the host what the program goes for, and names it in the program's environment. */
  readonly prepare?: (scene: ProbeScene) => void | Promise<void>;
  readonly stranger?: Stranger;
  /** For sh; whatever it starts by `exec` stays until it was judged. */
  readonly program: string;
  /** Whether it came through, asked while the container is there. */
  readonly judge?: Judge;
  /** The same, asked when the container has been removed. */
  readonly judgeAfter?: Judge;
  readonly open?: OpenContainer;
  /** Where it takes longer than tests usually do. */
  readonly timeoutMs?: number;
  /** `vm`: shown to work in a virtual machine alone, because it would change this host. */
  readonly proveIn?: 'vm';
}
