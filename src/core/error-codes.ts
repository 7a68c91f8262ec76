/**
 * Every error code there is, with its kind, what it means and what to do about it.
 * `docs/errors.md` is generated from this table.
 */

/** What sort of failure: enough for most callers to decide what to do. Closed; docs/library.md says which are worth another try. */
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
    hint: 'correct the named field; docs/task-spec.md lists what each one takes',
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
    meaning: 'a file or directory that was named does not exist, or cannot be read or written',
    hint: 'check the path and what this user may do there',
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
      'the root or run folder, a program that root would run, a folder that root would build, or a directory above one of them could have been changed by another user',
    hint: 'give the named path to root and take write permission from group and others',
  },
  ERR_STACKSHIM_HOST_UNSUPPORTED: {
    kind: 'unavailable',
    meaning: 'the kernel or the machine lacks something the operation needs',
    hint: 'run stackshim doctor to see what this host can do',
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
    meaning: 'a disk fails, or a filesystem takes no writes: what was to be written is not there',
    hint: "look at the kernel's log (dmesg); once the disk is repaired, stackshim reap and stackshim verify",
  },
  ERR_STACKSHIM_DISK_LIMIT: {
    kind: 'invalid',
    meaning: "the task's code, payload and config do not fit into its disk limit",
    hint: 'give the task more with --disk',
  },
  ERR_STACKSHIM_PROCESS_EXHAUSTED: {
    kind: 'exhausted',
    meaning:
      'this process, its cgroup or the host has no more descriptors, processes or memory to give',
    hint: 'run fewer tasks at a time, or raise the limit: of open files (ulimit -n), of processes (pids.max of the cgroup, ulimit -u)',
  },
  ERR_STACKSHIM_SYSTEM: {
    kind: 'internal',
    meaning: 'a system call failed in a way that has no code of its own',
    hint: 'see the cause; stackshim doctor may tell more',
  },
  // runtime
  ERR_STACKSHIM_RUNTIME_NOT_FOUND: {
    kind: 'unavailable',
    meaning: 'the OCI runtime is not installed',
    hint: 'install runc, or name another runtime with --runtime',
  },
  ERR_STACKSHIM_RUNTIME_TOO_OLD: {
    kind: 'unavailable',
    meaning: 'the OCI runtime is older than what stackshim can drive',
    hint: 'install a newer runtime; stackshim doctor names the versions',
  },
  ERR_STACKSHIM_RUNTIME_FAILED: {
    kind: 'internal',
    meaning: 'the OCI runtime could not create or start the container',
    hint: 'see details.log for what the runtime said; stackshim doctor checks the host',
  },
  ERR_STACKSHIM_COMMAND_NOT_FOUND: {
    kind: 'not_found',
    meaning: 'the command does not exist in the stack',
    hint: 'check the name, and PATH in the stack',
  },
  ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE: {
    kind: 'invalid',
    meaning: 'the command exists but cannot be executed',
    hint: 'check its mode, its format and its #! line',
  },
  // tasks
  ERR_STACKSHIM_TASK_CONFLICT: {
    kind: 'conflict',
    meaning: 'a task with this id exists on the machine',
    hint: 'choose another --name, or end that task with stackshim kill',
  },
  ERR_STACKSHIM_TASK_NOT_FOUND: {
    kind: 'not_found',
    meaning: 'no task with this id exists on the machine',
    hint: 'stackshim ps lists the tasks',
  },
  ERR_STACKSHIM_TASK_ABORTED: {
    kind: 'aborted',
    meaning: 'the caller cancelled the task before it was prepared',
    hint: 'nothing was started; run the task again',
  },
  ERR_STACKSHIM_SLOTS_EXHAUSTED: {
    kind: 'exhausted',
    meaning: 'every slot that this machine has, or that the policy lets it use, is taken by a task',
    hint: 'wait for tasks to end, or run stackshim reap for what dead owners left',
  },
  ERR_STACKSHIM_TENANT_EXHAUSTED: {
    kind: 'exhausted',
    meaning:
      'the tenant has as many tasks as the policy allows, or they use more than a cap that was lowered',
    hint: 'wait for tasks of the tenant to end, or run stackshim reap for what dead owners left',
  },
  ERR_STACKSHIM_HOST_EXHAUSTED: {
    kind: 'exhausted',
    meaning: 'with the task the host would have less free than the policy reserves',
    hint: 'wait for tasks to end, or ask for less memory',
  },
  ERR_STACKSHIM_RECORD_CORRUPT: {
    kind: 'internal',
    meaning: "a task's record cannot be read",
    hint: 'docs/recovery.md tells how to remove what that task left',
  },
  // layers, images, stacks
  ERR_STACKSHIM_LAYER_INVALID: {
    kind: 'invalid',
    meaning: 'a layer tar holds something that no layer may hold, or is malformed',
    hint: 'rebuild the image; the message names the entry',
  },
  ERR_STACKSHIM_LAYER_TOO_LARGE: {
    kind: 'exhausted',
    meaning: 'a layer or archive is over a limit on entries, bytes or compression ratio',
    hint: 'split it or leave out what is not needed',
  },
  ERR_STACKSHIM_LAYER_CORRUPT: {
    kind: 'internal',
    meaning: 'a stored layer is missing, damaged or not what its name says',
    hint: 'build the stacks that use it again',
  },
  ERR_STACKSHIM_IMAGE_INVALID: {
    kind: 'invalid',
    meaning: 'an OCI image layout, manifest or config is malformed or does not match its digest',
    hint: 'make the image again; the message names the blob',
  },
  ERR_STACKSHIM_IMAGE_CORRUPT: {
    kind: 'internal',
    meaning: 'a stored image file cannot be read or does not hold what its name says',
    hint: 'build the stack again',
  },
  ERR_STACKSHIM_STACK_NOT_FOUND: {
    kind: 'not_found',
    meaning: 'no stack, revision or image of this name exists here',
    hint: 'stackshim stack ls lists the stacks; stackshim stack build makes one',
  },
  ERR_STACKSHIM_STACK_CORRUPT: {
    kind: 'internal',
    meaning: 'a generation or revision file cannot be read',
    hint: 'docs/recovery.md tells how to go back to an earlier generation',
  },
  ERR_STACKSHIM_STACK_BUSY: {
    kind: 'conflict',
    meaning: 'another process is changing the stacks',
    hint: 'wait for it to finish, then try again',
  },
  ERR_STACKSHIM_STACK_IN_USE: {
    kind: 'conflict',
    meaning: 'a task runs or is kept on the stack, or other stacks stand on it',
    hint: 'end those tasks, or remove those stacks first',
  },
  ERR_STACKSHIM_BUILD_FAILED: {
    kind: 'invalid',
    meaning: 'the image builder failed',
    hint: 'see what the builder printed; nothing stored was changed',
  },
  ERR_STACKSHIM_BUILD_ABORTED: {
    kind: 'aborted',
    meaning: 'the caller cancelled a build or an import',
    hint: 'nothing stored was changed; run the command again',
  },
  ERR_STACKSHIM_SMOKE_FAILED: {
    kind: 'invalid',
    meaning: "the stack's smoke command failed in a real task",
    hint: 'the new revision was not made current; correct the Dockerfile and build again',
  },
  // exchange with other machines
  ERR_STACKSHIM_REGISTRY_FAILED: {
    kind: 'unavailable',
    meaning: 'a registry did not give or take an image',
    hint: 'see what skopeo said; check the name, --authfile and --tls-verify, then try again',
  },
  ERR_STACKSHIM_SAVE_INVALID: {
    kind: 'invalid',
    meaning: 'a file of saved stacks is malformed, cut off or does not match its digests',
    hint: 'run load again with the whole file: what was verified is kept; else save it again',
  },
  ERR_STACKSHIM_SAVE_UNTRUSTED: {
    kind: 'denied',
    meaning: 'a file of saved stacks is not signed by a key that this installation trusts',
    hint: "put the saving operator's public key into trusted-keys/ below the root folder, if you trust it",
  },
  ERR_STACKSHIM_SAVE_OUTDATED: {
    kind: 'conflict',
    meaning: 'a file of saved stacks is older than what is here, or dated in the future',
    hint: 'save the stacks again and load that file; --any-date loads an older one',
  },
  ERR_STACKSHIM_TASK_NOT_KEPT: {
    kind: 'conflict',
    meaning: 'the task still runs, or its writable layer was not kept',
    hint: 'run it with --keep and let it end first',
  },
  // code packages
  ERR_STACKSHIM_CODE_INVALID: {
    kind: 'invalid',
    meaning: 'a code directory or archive is malformed or holds something that it may not hold',
    hint: 'pack it again; the message names the entry',
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
