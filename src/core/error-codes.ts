/** Every error code, with its kind, its meaning and a hint. `docs/errors.md` is generated from this table. */

/** The kind of failure: enough for most callers to decide what to do. A closed list; docs/library.md says which kinds are worth a retry. */
export type ErrorKind =
  | 'invalid'
  | 'not_found'
  | 'conflict'
  | 'denied'
  | 'exhausted'
  | 'unavailable'
  | 'aborted'
  | 'internal';

const entryOf =
  <Kind extends ErrorKind>(kind: Kind) =>
  (meaning: string, hint: string) => ({ kind, meaning, hint });

const invalid = entryOf('invalid');
const notFound = entryOf('not_found');
const conflict = entryOf('conflict');
const denied = entryOf('denied');
const exhausted = entryOf('exhausted');
const unavailable = entryOf('unavailable');
const aborted = entryOf('aborted');
const internal = entryOf('internal');

export const errorCodes = {
  // task spec and policy
  ERR_STACKSHIM_SPEC_INVALID: invalid(
    'a task spec or a command line option has a value that is not allowed',
    'correct the named field; docs/task-spec.md lists the values of each field',
  ),
  ERR_STACKSHIM_SPEC_DENIED: denied(
    'the task asks for more than the policy or the host allows',
    'ask for less, or have the operator change the policy file',
  ),
  ERR_STACKSHIM_POLICY_INVALID: invalid(
    'the policy file cannot be read or has a field that is not allowed',
    'correct the policy file; docs/policy.md lists its fields',
  ),
  ERR_STACKSHIM_INPUT_NOT_FOUND: notFound(
    'a file or directory given by the caller does not exist, or cannot be read or written',
    'check the path and its permissions',
  ),
  ERR_STACKSHIM_OUTPUT_INCOMPLETE: notFound(
    'an output that is required is missing, or parts of it were left out',
    'see outputs in the result for what was taken, and what was left out and why',
  ),
  ERR_STACKSHIM_OUTPUT_FAILED: unavailable(
    'files of a task could not be written to their destination',
    'check that the destination has room and takes files, then run the task again',
  ),
  // host
  ERR_STACKSHIM_NOT_ROOT: denied('the operation needs root', 'run it as root (sudo stackshim …)'),
  ERR_STACKSHIM_PATH_UNTRUSTED: unavailable(
    'another user could have changed the root or run folder, a program that root would run, a folder that root would build, or a directory above one of them',
    'give the named path to root (chown root) and remove write permission of group and others (chmod go-w)',
  ),
  ERR_STACKSHIM_HOST_UNSUPPORTED: unavailable(
    'the kernel or the machine lacks something the operation needs',
    'run stackshim doctor to see what this host supports',
  ),
  ERR_STACKSHIM_TOOL_MISSING: unavailable(
    'a program that the operation needs is not installed',
    'install the package named in the message',
  ),
  ERR_STACKSHIM_DISK_FULL: exhausted(
    'the disk under the root or run folder is full',
    'free disk space, then try again',
  ),
  ERR_STACKSHIM_DISK_FAILED: unavailable(
    'a disk failed, or a filesystem refuses writes; the data was not written',
    "check the kernel's log (dmesg); repair the disk, then run stackshim reap and stackshim verify",
  ),
  ERR_STACKSHIM_DISK_LIMIT: invalid(
    "the task's code, payload and config do not fit into its disk limit",
    'raise the limit with --disk',
  ),
  ERR_STACKSHIM_PROCESS_EXHAUSTED: exhausted(
    'this process, its cgroup or the host has run out of descriptors, processes or memory',
    'run fewer tasks at a time, or raise the limit of open files (ulimit -n) or of processes (pids.max of the cgroup, ulimit -u)',
  ),
  ERR_STACKSHIM_SYSTEM: internal(
    'a system call failed for a reason that has no code of its own',
    'see the cause; run stackshim doctor to check the host',
  ),
  // runtime
  ERR_STACKSHIM_RUNTIME_NOT_FOUND: unavailable(
    'the OCI runtime is not installed',
    'install runc, or name another runtime with --runtime',
  ),
  ERR_STACKSHIM_RUNTIME_TOO_OLD: unavailable(
    'the OCI runtime is too old for stackshim',
    'install a newer runtime; stackshim doctor shows the versions',
  ),
  ERR_STACKSHIM_RUNTIME_FAILED: internal(
    'the OCI runtime could not create or start the container',
    "see details.log for the runtime's messages; run stackshim doctor to check the host",
  ),
  ERR_STACKSHIM_COMMAND_NOT_FOUND: notFound(
    'the command does not exist in the stack',
    'check the name and the PATH of the stack',
  ),
  ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE: invalid(
    'the command exists but cannot be executed',
    'check its mode, its format and its #! line',
  ),
  // tasks
  ERR_STACKSHIM_TASK_CONFLICT: conflict(
    'a task with this id exists on the machine, or its state does not allow this',
    'choose another --name, or end and remove that task with stackshim kill',
  ),
  ERR_STACKSHIM_TASK_NOT_FOUND: notFound(
    'no task with this id exists on the machine',
    'run stackshim ps -a to list the tasks; for a task of another installation, set its STACKSHIM_ROOT and STACKSHIM_RUN',
  ),
  ERR_STACKSHIM_TASK_RESULT_UNKNOWN: unavailable(
    'the task has ended, and its result is not known any more',
    'start tasks with -d or --log to keep their results; the result of a task whose owner was killed is lost',
  ),
  ERR_STACKSHIM_TASK_ABORTED: aborted(
    'the caller cancelled the task before it was prepared',
    'nothing was started; run the task again',
  ),
  ERR_STACKSHIM_TASK_BUILD_FAILED: invalid(
    "the task's build step failed, or left something in /task that cannot be kept",
    'read the log that the message names, and correct the code or the command of --build',
  ),
  ERR_STACKSHIM_TASK_BUILD_BUSY: unavailable(
    'another task went on running the same build step for longer than this task may build',
    'run the task again, or give it a longer --build-timeout',
  ),
  ERR_STACKSHIM_BUILT_CORRUPT: internal(
    'a cached build is missing or damaged',
    'nothing to do: the next task that needs it builds it again',
  ),
  ERR_STACKSHIM_SLOTS_EXHAUSTED: exhausted(
    'tasks hold all slots of this machine, or all slots that the policy allows',
    'wait for tasks to end, or run stackshim reap to remove the tasks of dead owners',
  ),
  ERR_STACKSHIM_TENANT_EXHAUSTED: exhausted(
    'the tenant runs as many tasks as the policy allows, or its tasks already use more than a lowered cap',
    'wait for tasks of the tenant to end, or run stackshim reap to remove the tasks of dead owners',
  ),
  ERR_STACKSHIM_HOST_EXHAUSTED: exhausted(
    'the task would leave the host less memory or disk space than the policy reserves',
    'wait for tasks to end, or ask for less memory or disk space',
  ),
  ERR_STACKSHIM_RECORD_CORRUPT: internal(
    "a task's record cannot be read",
    'run stackshim kill ID to end and remove that task; see docs/recovery.md',
  ),
  ERR_STACKSHIM_FORMAT_NEWER: unavailable(
    'a stored file was written by a newer stackshim, in a format that this one does not know',
    'use the stackshim that wrote it, or a newer one; nothing is damaged',
  ),
  // layers, images, stacks
  ERR_STACKSHIM_LAYER_INVALID: invalid(
    'a layer tar is malformed, or has an entry that no layer may contain',
    'build the image again without the named entry',
  ),
  ERR_STACKSHIM_LAYER_TOO_LARGE: exhausted(
    'a layer or archive passes a limit on entries, bytes or compression ratio',
    'split it, or leave out what you do not need',
  ),
  ERR_STACKSHIM_LAYER_CORRUPT: internal(
    'a stored layer is missing or damaged, or does not match its name',
    'build, import or load the stacks that use it again',
  ),
  ERR_STACKSHIM_IMAGE_INVALID: invalid(
    'an OCI image layout, manifest or config is malformed or does not match its digest',
    'build the image again; the message names the blob',
  ),
  ERR_STACKSHIM_IMAGE_CORRUPT: internal(
    'a stored image file cannot be read, or does not match its name',
    'build the stack again',
  ),
  ERR_STACKSHIM_STACK_NOT_FOUND: notFound(
    'no stack, revision or image with this name is stored',
    'run stackshim stack ls to list the stacks, or stackshim stack build to make one',
  ),
  ERR_STACKSHIM_STACK_CORRUPT: internal(
    'a generation or revision file cannot be read',
    'go back to an earlier generation as docs/recovery.md describes',
  ),
  ERR_STACKSHIM_STACK_BUSY: conflict(
    'another process is changing the stacks',
    'wait for it to finish, then try again',
  ),
  ERR_STACKSHIM_STACK_IN_USE: conflict(
    'a running or kept task uses the stack, or other stacks are built on it',
    'end those tasks, or remove those stacks first',
  ),
  ERR_STACKSHIM_BUILD_FAILED: invalid(
    'the image builder failed',
    "see the builder's output; nothing stored was changed",
  ),
  ERR_STACKSHIM_BUILD_ABORTED: aborted(
    'the caller cancelled a build, an import, a migration or a verification',
    'what was stored before is unchanged; run the command again',
  ),
  ERR_STACKSHIM_SMOKE_FAILED: invalid(
    "the stack's smoke command failed in a real task",
    'correct the Dockerfile and build again; the current revision was not changed',
  ),
  // exchange with other machines
  ERR_STACKSHIM_REGISTRY_FAILED: unavailable(
    'an image could not be read from or written to a registry',
    "see skopeo's message; check the name, --authfile and --tls-verify, then try again",
  ),
  ERR_STACKSHIM_SAVE_INVALID: invalid(
    'a file of saved stacks is malformed or cut off, or does not match its digests',
    'run load again with the whole file, or save the stacks again; verified layers are kept',
  ),
  ERR_STACKSHIM_SAVE_UNTRUSTED: denied(
    'a file of saved stacks is not signed by a key that this installation trusts',
    "put the saving operator's public key into trusted-keys/ below the root folder, if you trust it",
  ),
  ERR_STACKSHIM_SAVE_OUTDATED: conflict(
    'a file of saved stacks is older than the stored stacks, or dated in the future',
    'save the stacks again and load that file, or use --any-date to load an older one',
  ),
  ERR_STACKSHIM_TASK_NOT_KEPT: conflict(
    'the task still runs, or its writable layer was not kept',
    'run it with --keep and let it end first',
  ),
  // code packages
  ERR_STACKSHIM_CODE_INVALID: invalid(
    'a code directory or archive is malformed, or has an entry that code may not contain',
    'pack it again without the named entry',
  ),
  ERR_STACKSHIM_PACKAGE_NOT_FOUND: notFound(
    'there is no code package with this name for this tenant, or no such revision of it',
    'run stackshim code ls to list the code packages; a tenant sees only its own',
  ),
  ERR_STACKSHIM_PACKAGE_INVALID: invalid(
    'a stackshim.json or the image of a code package has no settings that can be used',
    'correct the named field; docs/code.md lists the fields',
  ),
  ERR_STACKSHIM_PACKAGE_CORRUPT: internal(
    'the stored revisions of a code package are missing or damaged',
    'run stackshim verify, then add the code package again',
  ),
  // jobs of queues
  ERR_STACKSHIM_JOB_NOT_FOUND: notFound(
    'the store has no job or schedule of that name',
    'check the name; ended jobs are removed after a while',
  ),
  ERR_STACKSHIM_JOB_CONFLICT: conflict(
    'the state of the job does not allow the operation',
    'see its state with stackshim queue status',
  ),
  ERR_STACKSHIM_JOB_RESULT_UNKNOWN: unavailable(
    'the job ended without a result that a stackshim worker wrote, or its record in the store is damaged',
    'see who else writes to the store; retry the job if it may run again',
  ),
  ERR_STACKSHIM_JOB_WAIT_ABORTED: aborted(
    'the caller stopped waiting for a job',
    'the job goes on; stackshim queue cancel ends it',
  ),
  ERR_STACKSHIM_JOB_REFUSED: invalid(
    'a job of a queue cannot be run as it is stored',
    'see the message for what is wrong with the job, and queue it again; docs/producers.md describes jobs',
  ),
  ERR_STACKSHIM_JOB_CANCELLED: aborted(
    'a job of a queue was cancelled before its task ended',
    'queue the job again if its result is wanted after all',
  ),
  ERR_STACKSHIM_JOB_ENDS_WORKERS: aborted(
    'a job was given up, because worker after worker died or lost its store while the job ran',
    'see the logs of the workers for what ended them, then retry the job',
  ),
  // the store of the queues
  ERR_STACKSHIM_STORE_INVALID: invalid(
    "the URL of the queues' store cannot be read, or names a kind of server that is not supported",
    'give --store or STACKSHIM_STORE_URL as redis://, rediss://, valkey:// or postgres://USER:PASSWORD@HOST:PORT/DATABASE',
  ),
  ERR_STACKSHIM_STORE_UNREACHABLE: unavailable(
    "the queues' store does not answer",
    'start the server, and check the host, the port and TLS of --store',
  ),
  ERR_STACKSHIM_STORE_DENIED: denied(
    "the queues' store refuses the user or the password, or the user lacks a right",
    'check the user and the password of --store; docs/stores.md lists the rights that a user needs',
  ),
  ERR_STACKSHIM_STORE_UNSUITABLE: unavailable(
    "the queues' store is too old, read-only, or configured so that it would lose jobs",
    'docs/stores.md says what a store needs',
  ),
  ERR_STACKSHIM_STORE_NOT_MIGRATED: unavailable(
    'the database has no tables for the queues, or those of another version',
    'run stackshim worker --migrate with a user who may create schemas',
  ),
  ERR_STACKSHIM_STORE_SKEWED: unavailable(
    "the clocks of this machine and of the queues' store differ by too much",
    'synchronise both clocks (NTP)',
  ),
  ERR_STACKSHIM_STORE_FULL: exhausted(
    "the memory of the queues' store is full: it refuses what needs more",
    'give the server more memory (maxmemory), or keep ended jobs for a shorter time; then try again',
  ),
  ERR_STACKSHIM_STORE_CLOSED: aborted(
    "the connection to the queues' store was closed while a call waited for an answer",
    'the call may have taken effect; open the store again to look',
  ),
  // stackshim itself
  ERR_STACKSHIM_INTERNAL: internal(
    'a defect in stackshim',
    'report it with the message and the cause',
  ),
} as const;

/** `ERR_STACKSHIM_<AREA>_<WHAT>`. A code never changes its meaning or kind. */
export type ErrorCode = keyof typeof errorCodes;
