/**
 * Every error code, with its kind, its meaning and a hint.
 * `docs/errors.md` is generated from this table.
 */

/** The sort of failure, which is enough for most callers to decide what to do. A closed list; docs/library.md says which kinds are worth a retry. */
export type ErrorKind =
  | 'invalid'
  | 'not_found'
  | 'conflict'
  | 'denied'
  | 'exhausted'
  | 'unavailable'
  | 'aborted'
  | 'internal';

interface ErrorEntry {
  readonly kind: ErrorKind;
  readonly meaning: string;
  readonly hint: string;
}

export const errorCodes = {
  // task spec and policy
  ERR_STACKSHIM_SPEC_INVALID: {
    kind: 'invalid',
    meaning: 'a task spec or a command line option has a value that is not allowed',
    hint: 'correct the named field; docs/task-spec.md lists the values of each field',
  },
  ERR_STACKSHIM_SPEC_DENIED: {
    kind: 'denied',
    meaning: 'the task asks for more than the policy or the host allows',
    hint: 'ask for less, or have the operator change the policy file',
  },
  ERR_STACKSHIM_POLICY_INVALID: {
    kind: 'invalid',
    meaning: 'the policy file cannot be read or has a field that is not allowed',
    hint: 'correct the policy file; docs/policy.md lists its fields',
  },
  ERR_STACKSHIM_INPUT_NOT_FOUND: {
    kind: 'not_found',
    meaning: 'a file or directory given by the caller does not exist, or cannot be read or written',
    hint: 'check the path and its permissions',
  },
  ERR_STACKSHIM_OUTPUT_INCOMPLETE: {
    kind: 'not_found',
    meaning: 'an output that is required is missing, or parts of it were left out',
    hint: 'see outputs in the result for what was taken, and what was left out and why',
  },
  ERR_STACKSHIM_OUTPUT_FAILED: {
    kind: 'unavailable',
    meaning: 'files of a task could not be written to their destination',
    hint: 'check that the destination has room and takes files, then run the task again',
  },
  // host
  ERR_STACKSHIM_NOT_ROOT: {
    kind: 'denied',
    meaning: 'the operation needs root',
    hint: 'run it as root (sudo stackshim …)',
  },
  ERR_STACKSHIM_PATH_UNTRUSTED: {
    kind: 'unavailable',
    meaning:
      'another user could have changed the root or run folder, a program that root would run, a folder that root would build, or a directory above one of them',
    hint: 'give the named path to root (chown root) and remove write permission of group and others (chmod go-w)',
  },
  ERR_STACKSHIM_HOST_UNSUPPORTED: {
    kind: 'unavailable',
    meaning: 'the kernel or the machine lacks something the operation needs',
    hint: 'run stackshim doctor to see what this host supports',
  },
  ERR_STACKSHIM_TOOL_MISSING: {
    kind: 'unavailable',
    meaning: 'a program that the operation needs is not installed',
    hint: 'install the package named in the message',
  },
  ERR_STACKSHIM_DISK_FULL: {
    kind: 'exhausted',
    meaning: 'the disk under the root or run folder is full',
    hint: 'free disk space, then try again',
  },
  ERR_STACKSHIM_DISK_FAILED: {
    kind: 'unavailable',
    meaning: 'a disk failed, or a filesystem refuses writes; the data was not written',
    hint: "check the kernel's log (dmesg); repair the disk, then run stackshim reap and stackshim verify",
  },
  ERR_STACKSHIM_DISK_LIMIT: {
    kind: 'invalid',
    meaning: "the task's code, payload and config do not fit into its disk limit",
    hint: 'raise the limit with --disk',
  },
  ERR_STACKSHIM_PROCESS_EXHAUSTED: {
    kind: 'exhausted',
    meaning: 'this process, its cgroup or the host has run out of descriptors, processes or memory',
    hint: 'run fewer tasks at a time, or raise the limit of open files (ulimit -n) or of processes (pids.max of the cgroup, ulimit -u)',
  },
  ERR_STACKSHIM_SYSTEM: {
    kind: 'internal',
    meaning: 'a system call failed for a reason that has no code of its own',
    hint: 'see the cause; run stackshim doctor to check the host',
  },
  // runtime
  ERR_STACKSHIM_RUNTIME_NOT_FOUND: {
    kind: 'unavailable',
    meaning: 'the OCI runtime is not installed',
    hint: 'install runc, or name another runtime with --runtime',
  },
  ERR_STACKSHIM_RUNTIME_TOO_OLD: {
    kind: 'unavailable',
    meaning: 'the OCI runtime is too old for stackshim',
    hint: 'install a newer runtime; stackshim doctor shows the versions',
  },
  ERR_STACKSHIM_RUNTIME_FAILED: {
    kind: 'internal',
    meaning: 'the OCI runtime could not create or start the container',
    hint: "see details.log for the runtime's messages; run stackshim doctor to check the host",
  },
  ERR_STACKSHIM_COMMAND_NOT_FOUND: {
    kind: 'not_found',
    meaning: 'the command does not exist in the stack',
    hint: 'check the name and the PATH of the stack',
  },
  ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE: {
    kind: 'invalid',
    meaning: 'the command exists but cannot be executed',
    hint: 'check its mode, its format and its #! line',
  },
  // tasks
  ERR_STACKSHIM_TASK_CONFLICT: {
    kind: 'conflict',
    meaning: 'a task with this id exists on the machine, or its state does not allow this',
    hint: 'choose another --name, or end and remove that task with stackshim kill',
  },
  ERR_STACKSHIM_TASK_NOT_FOUND: {
    kind: 'not_found',
    meaning: 'no task with this id exists on the machine',
    hint: 'run stackshim ps -a to list the tasks; for a task of another installation, set its STACKSHIM_ROOT and STACKSHIM_RUN',
  },
  ERR_STACKSHIM_TASK_RESULT_UNKNOWN: {
    kind: 'unavailable',
    meaning: 'the task has ended, and its result is not known any more',
    hint: 'start tasks with -d or --log to keep their results; the result of a task whose owner was killed is lost',
  },
  ERR_STACKSHIM_TASK_ABORTED: {
    kind: 'aborted',
    meaning: 'the caller cancelled the task before it was prepared',
    hint: 'nothing was started; run the task again',
  },
  ERR_STACKSHIM_TASK_BUILD_FAILED: {
    kind: 'invalid',
    meaning: "the task's build step failed, or left something in /task that cannot be kept",
    hint: 'read the log that the message names, and correct the code or the command of --build',
  },
  ERR_STACKSHIM_TASK_BUILD_BUSY: {
    kind: 'unavailable',
    meaning: 'another task went on running the same build step for longer than this task may build',
    hint: 'run the task again, or give it a longer --build-timeout',
  },
  ERR_STACKSHIM_BUILT_CORRUPT: {
    kind: 'internal',
    meaning: 'a cached build is missing or damaged',
    hint: 'nothing to do: the next task that needs it builds it again',
  },
  ERR_STACKSHIM_SLOTS_EXHAUSTED: {
    kind: 'exhausted',
    meaning: 'tasks hold all slots of this machine, or all slots that the policy allows',
    hint: 'wait for tasks to end, or run stackshim reap to remove the tasks of dead owners',
  },
  ERR_STACKSHIM_TENANT_EXHAUSTED: {
    kind: 'exhausted',
    meaning:
      'the tenant runs as many tasks as the policy allows, or its tasks already use more than a lowered cap',
    hint: 'wait for tasks of the tenant to end, or run stackshim reap to remove the tasks of dead owners',
  },
  ERR_STACKSHIM_HOST_EXHAUSTED: {
    kind: 'exhausted',
    meaning: 'the task would leave the host less memory or disk space than the policy reserves',
    hint: 'wait for tasks to end, or ask for less memory or disk space',
  },
  ERR_STACKSHIM_RECORD_CORRUPT: {
    kind: 'internal',
    meaning: "a task's record cannot be read",
    hint: 'run stackshim kill ID to end and remove that task; see docs/recovery.md',
  },
  ERR_STACKSHIM_FORMAT_NEWER: {
    kind: 'unavailable',
    meaning:
      'a stored file was written by a newer stackshim, in a format that this one does not know',
    hint: 'use the stackshim that wrote it, or a newer one; nothing is damaged',
  },
  // layers, images, stacks
  ERR_STACKSHIM_LAYER_INVALID: {
    kind: 'invalid',
    meaning: 'a layer tar is malformed, or has an entry that no layer may contain',
    hint: 'build the image again without the named entry',
  },
  ERR_STACKSHIM_LAYER_TOO_LARGE: {
    kind: 'exhausted',
    meaning: 'a layer or archive passes a limit on entries, bytes or compression ratio',
    hint: 'split it, or leave out what you do not need',
  },
  ERR_STACKSHIM_LAYER_CORRUPT: {
    kind: 'internal',
    meaning: 'a stored layer is missing or damaged, or does not match its name',
    hint: 'build, import or load the stacks that use it again',
  },
  ERR_STACKSHIM_IMAGE_INVALID: {
    kind: 'invalid',
    meaning: 'an OCI image layout, manifest or config is malformed or does not match its digest',
    hint: 'build the image again; the message names the blob',
  },
  ERR_STACKSHIM_IMAGE_CORRUPT: {
    kind: 'internal',
    meaning: 'a stored image file cannot be read, or does not match its name',
    hint: 'build the stack again',
  },
  ERR_STACKSHIM_STACK_NOT_FOUND: {
    kind: 'not_found',
    meaning: 'no stack, revision or image with this name is stored',
    hint: 'run stackshim stack ls to list the stacks, or stackshim stack build to make one',
  },
  ERR_STACKSHIM_STACK_CORRUPT: {
    kind: 'internal',
    meaning: 'a generation or revision file cannot be read',
    hint: 'go back to an earlier generation as docs/recovery.md describes',
  },
  ERR_STACKSHIM_STACK_BUSY: {
    kind: 'conflict',
    meaning: 'another process is changing the stacks',
    hint: 'wait for it to finish, then try again',
  },
  ERR_STACKSHIM_STACK_IN_USE: {
    kind: 'conflict',
    meaning: 'a running or kept task uses the stack, or other stacks are built on it',
    hint: 'end those tasks, or remove those stacks first',
  },
  ERR_STACKSHIM_BUILD_FAILED: {
    kind: 'invalid',
    meaning: 'the image builder failed',
    hint: "see the builder's output; nothing stored was changed",
  },
  ERR_STACKSHIM_BUILD_ABORTED: {
    kind: 'aborted',
    meaning: 'the caller cancelled a build, an import, a migration or a verification',
    hint: 'what was stored before is unchanged; run the command again',
  },
  ERR_STACKSHIM_SMOKE_FAILED: {
    kind: 'invalid',
    meaning: "the stack's smoke command failed in a real task",
    hint: 'correct the Dockerfile and build again; the current revision was not changed',
  },
  // exchange with other machines
  ERR_STACKSHIM_REGISTRY_FAILED: {
    kind: 'unavailable',
    meaning: 'an image could not be read from or written to a registry',
    hint: "see skopeo's message; check the name, --authfile and --tls-verify, then try again",
  },
  ERR_STACKSHIM_SAVE_INVALID: {
    kind: 'invalid',
    meaning: 'a file of saved stacks is malformed or cut off, or does not match its digests',
    hint: 'run load again with the whole file, or save the stacks again; verified layers are kept',
  },
  ERR_STACKSHIM_SAVE_UNTRUSTED: {
    kind: 'denied',
    meaning: 'a file of saved stacks is not signed by a key that this installation trusts',
    hint: "put the saving operator's public key into trusted-keys/ below the root folder, if you trust it",
  },
  ERR_STACKSHIM_SAVE_OUTDATED: {
    kind: 'conflict',
    meaning: 'a file of saved stacks is older than the stored stacks, or dated in the future',
    hint: 'save the stacks again and load that file, or use --any-date to load an older one',
  },
  ERR_STACKSHIM_TASK_NOT_KEPT: {
    kind: 'conflict',
    meaning: 'the task still runs, or its writable layer was not kept',
    hint: 'run it with --keep and let it end first',
  },
  // code packages
  ERR_STACKSHIM_CODE_INVALID: {
    kind: 'invalid',
    meaning: 'a code directory or archive is malformed, or has an entry that code may not contain',
    hint: 'pack it again without the named entry',
  },
  ERR_STACKSHIM_PACKAGE_NOT_FOUND: {
    kind: 'not_found',
    meaning: 'there is no code package with this name for this tenant, or no such revision of it',
    hint: 'run stackshim code ls to list the code packages; a tenant sees only its own',
  },
  ERR_STACKSHIM_PACKAGE_INVALID: {
    kind: 'invalid',
    meaning: 'a stackshim.json or the image of a code package has no settings that can be used',
    hint: 'correct the named field; docs/code.md lists the fields',
  },
  ERR_STACKSHIM_PACKAGE_CORRUPT: {
    kind: 'internal',
    meaning: 'the stored revisions of a code package are missing or damaged',
    hint: 'run stackshim verify, then add the code package again',
  },
  // jobs of queues
  ERR_STACKSHIM_JOB_NOT_FOUND: {
    kind: 'not_found',
    meaning: 'the store has no job or schedule of that name',
    hint: 'check the name; ended jobs are removed after a while',
  },
  ERR_STACKSHIM_JOB_CONFLICT: {
    kind: 'conflict',
    meaning: 'the state of the job does not allow the operation',
    hint: 'see its state with stackshim queue status',
  },
  ERR_STACKSHIM_JOB_RESULT_UNKNOWN: {
    kind: 'unavailable',
    meaning:
      'the job ended without a result that a stackshim worker wrote, or its record in the store is damaged',
    hint: 'see who else writes to the store; retry the job if it may run again',
  },
  ERR_STACKSHIM_JOB_WAIT_ABORTED: {
    kind: 'aborted',
    meaning: 'the caller stopped waiting for a job',
    hint: 'the job goes on; stackshim queue cancel ends it',
  },
  ERR_STACKSHIM_JOB_REFUSED: {
    kind: 'invalid',
    meaning: 'a job of a queue cannot be run as it is stored',
    hint: 'see the message for what is wrong with the job, and queue it again; docs/producers.md describes jobs',
  },
  ERR_STACKSHIM_JOB_CANCELLED: {
    kind: 'aborted',
    meaning: 'a job of a queue was cancelled before its task ended',
    hint: 'queue the job again if its result is wanted after all',
  },
  ERR_STACKSHIM_JOB_ENDS_WORKERS: {
    kind: 'aborted',
    meaning:
      'a job was given up, because worker after worker died or lost its store while the job ran',
    hint: 'see the logs of the workers for what ended them, then retry the job',
  },
  // the store of the queues
  ERR_STACKSHIM_STORE_INVALID: {
    kind: 'invalid',
    meaning:
      "the URL of the queues' store cannot be read, or names a kind of server that is not supported",
    hint: 'give --store or STACKSHIM_STORE_URL as redis://, rediss://, valkey:// or postgres://USER:PASSWORD@HOST:PORT/DATABASE',
  },
  ERR_STACKSHIM_STORE_UNREACHABLE: {
    kind: 'unavailable',
    meaning: "the queues' store does not answer",
    hint: 'start the server, and check the host, the port and TLS of --store',
  },
  ERR_STACKSHIM_STORE_DENIED: {
    kind: 'denied',
    meaning: "the queues' store refuses the user or the password, or the user lacks a right",
    hint: 'check the user and the password of --store; docs/stores.md lists the rights that a user needs',
  },
  ERR_STACKSHIM_STORE_UNSUITABLE: {
    kind: 'unavailable',
    meaning: "the queues' store is too old, read-only, or configured so that it would lose jobs",
    hint: 'docs/stores.md says what a store needs',
  },
  ERR_STACKSHIM_STORE_NOT_MIGRATED: {
    kind: 'unavailable',
    meaning: 'the database has no tables for the queues, or those of another version',
    hint: 'run stackshim worker --migrate with a user who may create schemas',
  },
  ERR_STACKSHIM_STORE_SKEWED: {
    kind: 'unavailable',
    meaning: "the clocks of this machine and of the queues' store differ by too much",
    hint: 'synchronise both clocks (NTP)',
  },
  ERR_STACKSHIM_STORE_FULL: {
    kind: 'exhausted',
    meaning: "the memory of the queues' store is full: it refuses what needs more",
    hint: 'give the server more memory (maxmemory), or keep ended jobs for a shorter time; then try again',
  },
  ERR_STACKSHIM_STORE_CLOSED: {
    kind: 'aborted',
    meaning: "the connection to the queues' store was closed while a call waited for an answer",
    hint: 'the call may have taken effect; open the store again to look',
  },
  // stackshim itself
  ERR_STACKSHIM_INTERNAL: {
    kind: 'internal',
    meaning: 'a defect in stackshim',
    hint: 'report it with the message and the cause',
  },
} as const satisfies Record<string, ErrorEntry>;

/** `ERR_STACKSHIM_<AREA>_<WHAT>`. A code never changes its meaning or its kind. */
export type ErrorCode = keyof typeof errorCodes;
