/** The options of `run`. Names follow `docker run` wherever docker has the thing. */

/** What a command line gives: only that is set. */
export interface RunOptions {
  readonly env?: readonly string[];
  readonly envFile?: readonly string[];
  readonly memory?: string;
  readonly cpus?: string;
  readonly pidsLimit?: string;
  readonly cpuShares?: string;
  readonly cpuTime?: string;
  readonly oomGroup?: boolean;
  readonly deviceReadBps?: readonly string[];
  readonly deviceWriteBps?: readonly string[];
  readonly deviceReadIops?: readonly string[];
  readonly deviceWriteIops?: readonly string[];
  readonly tenant?: string;
  readonly disk?: string;
  readonly ulimit?: readonly string[];
  readonly entrypoint?: string;
  readonly workdir?: string;
  readonly user?: string;
  readonly hostname?: string;
  readonly mount?: readonly string[];
  readonly volume?: readonly string[];
  readonly tmpfs?: readonly string[];
  readonly device?: readonly string[];
  readonly readOnly?: boolean;
  readonly network?: string;
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  readonly securityOpt?: readonly string[];
  readonly userns?: string;
  readonly pid?: string;
  readonly init?: boolean;
  readonly label?: readonly string[];
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly name?: string;
  readonly stopTimeout?: string;
  readonly stopSignal?: string;
  readonly runtime?: string;
  readonly bundle?: string;
  readonly timeout?: string;
  readonly outputLimit?: string;
  readonly code?: string;
  readonly payload?: string;
  readonly payloadFile?: string;
  readonly configFile?: string;
  readonly keep?: boolean;
  readonly remove?: string;
  /** For who is used to docker: a task is always removed. */
  readonly rm?: boolean;
  // what becomes of the result
  readonly result?: string;
  readonly json?: boolean;
  readonly events?: string;
}

/** [flags, description]; a value in `<>` with `…` behind its name may be given more than once. */
export const RUN_OPTIONS: readonly (readonly [flags: string, description: string])[] = [
  ['-e, --env <K=V…>', 'set an environment variable; K alone takes the value from here'],
  ['--env-file <file…>', 'read environment variables from a file'],
  ['-m, --memory <size>', 'memory limit, swap included: 256m'],
  ['--cpus <number>', 'processors: 0.5'],
  ['--pids-limit <number>', 'most processes and threads at once'],
  ['--cpu-shares <number>', 'weight beside other tasks when processors are short: 1024 is usual'],
  ['--cpu-time <duration>', 'most processor time of all its processes: 30s'],
  ['--oom-group', 'when one process is killed for memory, end the whole task'],
  ['--device-read-bps <path:rate…>', 'most bytes read from a disk each second: /dev/sda:50m'],
  ['--device-write-bps <path:rate…>', 'most bytes written to a disk each second'],
  ['--device-read-iops <path:rate…>', 'most reads from a disk each second'],
  ['--device-write-iops <path:rate…>', 'most writes to a disk each second'],
  ['--tenant <name>', 'whose task it is; the policy says what a tenant may have'],
  ['--disk <size>', 'most the task may write to its root filesystem and /task: 512m'],
  ['--ulimit <type=soft:hard…>', 'a resource limit: nofile=1024:2048'],
  ['--entrypoint <program>', "instead of the image's entrypoint and command; '' for none"],
  ['-w, --workdir <path>', 'working directory in the task'],
  ['-u, --user <user>', 'name|uid[:group|gid]'],
  ['--hostname <name>', 'host name in the task'],
  ['--mount <spec…>', 'type=bind,source=…,target=…[,readonly] or type=tmpfs,target=…'],
  ['-v, --volume <host:task[:ro]…>', 'bind a file or folder of the host'],
  ['--tmpfs <path[:options]…>', 'mount a tmpfs: /tmp:size=16m,mode=1777'],
  ['--device <host[:task][:rwm]…>', 'a device of the host: /dev/fuse; the policy must allow it'],
  ['--read-only', 'make the root filesystem read-only'],
  ['--network <name>', 'none or host'],
  ['--cap-add <capability…>', 'add a capability'],
  ['--cap-drop <capability…>', 'drop a capability, or ALL'],
  ['--security-opt <option…>', 'seccomp=FILE, seccomp=unconfined, no-new-privileges=false'],
  ['--userns <mode>', 'auto (a range of ids of its own) or host'],
  ['--pid <mode>', 'private, or host together with --userns host'],
  ['--init', 'run a small init program as pid 1'],
  ['--label <K=V…>', 'label the task; stackshim ps shows labels'],
  ['-i, --interactive', 'give the task this standard input'],
  ['-t, --tty', 'give the task a terminal'],
  ['--name <id>', 'id of the task; random when not given'],
  ['--stop-signal <signal>', "what a stop begins with: SIGQUIT; else the image's, or TERM"],
  ['--stop-timeout <duration>', 'time between the stop signal and KILL: 10s'],
  ['--runtime <runtime>', 'runc, crun, runsc or a path'],
  ['--bundle <template>', 'bundle template'],
  ['--timeout <duration>', 'wall time: 60s'],
  ['--output-limit <size>', 'most output of both streams; passing it ends the task: 64m'],
  ['--code <path>', 'a directory, .tar.gz or .zip to run at /task'],
  ['--payload <text>', 'text for the file that PAYLOAD_FILE names'],
  ['--payload-file <file>', 'the same, from a file'],
  ['--config-file <file>', 'the file that CONFIG_FILE names'],
  ['--keep', 'keep the writable layer of the ended task; stackshim kill ID removes it'],
  ['--remove <mode>', 'sync, or async: removal is left to a process of its own'],
  ['--rm', 'nothing: a task is always removed; for who is used to docker'],
  ['--result <file>', 'write the result record as JSON'],
  ['--json', 'capture output and print one JSON object'],
  ['--events <file>', 'write events as they happen, one JSON object a line'],
];
