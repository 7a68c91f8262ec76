/** A probe of the escape battery: one attempt to escape from a container, judged from outside. */
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

/** `through`: the probe reached its target. */
export type ProbeVerdict = 'held' | 'through';

export const toVerdict = (isThrough: boolean): ProbeVerdict => (isThrough ? 'through' : 'held');

/** Where a probe runs: in stackshim, in docker, or in a container without protection. */
export type PlaceName = 'stackshim' | 'docker' | 'open';

/** Settings of a probe's task, the same in all places. */
export interface ProbeTask {
  readonly user?: number;
  readonly workdir?: string;
  /** Targets of tmpfs mounts without a size. */
  readonly tmpfs?: readonly string[];
  readonly terminal?: boolean;
  /** May serve filesystems of its own: the bundle `fuse`, which the probe's policy must allow. */
  readonly fuse?: true;
  /** Soft and hard limit. */
  readonly openFiles?: number;
  readonly memory?: string;
  /** Limit on disk space; docker has none on most filesystems. */
  readonly disk?: string;
  /** Replaces the program. */
  readonly command?: readonly string[];
  /** A block device of the host, readable. */
  readonly device?: string;
  /** Where it can be chosen. */
  readonly userns?: 'host';
}

/** An unprivileged user of the host, active from before the set-up of the container until after its removal. */
export interface Stranger {
  readonly mode: StrangerMode;
  /** What it looks for, writes or leaves, depending on the mode. */
  readonly what: (scene: ProbeScene) => string;
  /** In addition to the folders of the place. */
  readonly where?: (scene: ProbeScene) => readonly string[];
}

/**
 * The container from which a probe is proved to escape. It has every capability, no filter, no limits, the host's user namespace,
 * nothing masked or read-only, and these settings.
 */
export interface OpenContainer {
  /** Namespaces that it shares with the host. */
  readonly share?: readonly ('pid' | 'network' | 'ipc' | 'uts' | 'cgroup')[];
  /** The scene's folder, writable, at its own path. */
  readonly sceneFolder?: true;
  /** The environment of its caller. */
  readonly environment?: true;
  readonly workdir?: string;
  /** A folder of the host that the runtime leaves open as descriptor 3. */
  readonly leaked?: string;
  readonly command?: readonly string[];
  /** Its root is an overlay, mounted as other tools do. */
  readonly overlay?: true;
  /** Core files of any size. */
  readonly coreFiles?: true;
  /** Its binds are mounted on the host first, below its bundle, and bound into it from there. */
  readonly hostBinds?: true;
  /** All containers of the scene have one root filesystem. */
  readonly sharedRoot?: true;
}

/** The progress of the program; it may still run. */
export interface ProbeAttempt {
  readonly place: PlaceName;
  /** The first 4 MiB. */
  readonly stdout: string;
  readonly stdoutBytes: number;
  /** The host pid of its first process; undefined after it has ended. */
  readonly pid: number | undefined;
  /** The path of its writable layer on the host. */
  readonly writtenTo: string;
}

type Judge = (attempt: ProbeAttempt, scene: ProbeScene) => boolean | Promise<boolean>;

export interface Probe {
  readonly name: string;
  readonly group: ProbeGroup;
  /** For the document, like the reasons. */
  readonly tries: string;
  readonly stoppedBy: string;
  /** Harmful only with this runtime; with others the program may succeed (docs/security.md says why). */
  readonly onlyAgainst?: 'runc';
  readonly task?: ProbeTask;
  /** Prepares the target on the host, and names it in the program's environment. */
  readonly prepare?: (scene: ProbeScene) => void | Promise<void>;
  readonly stranger?: Stranger;
  /** A shell script; a program that it starts with `exec` runs until it was judged. */
  readonly program: string;
  /** Whether the probe succeeded, asked while the container runs. */
  readonly judge?: Judge;
  /** Whether the probe succeeded, asked after the container was removed. */
  readonly judgeAfter?: Judge;
  readonly open?: OpenContainer;
  /** If it takes longer than other tests. */
  readonly timeoutMs?: number;
  /** `vm`: proved only in a virtual machine, because it would change this host. */
  readonly proveIn?: 'vm';
}

/** Whether the output contains the secret. */
export const leaked = ({ stdout }: ProbeAttempt, { secret }: ProbeScene): boolean =>
  stdout.includes(secret);
