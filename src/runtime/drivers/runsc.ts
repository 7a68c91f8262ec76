/** runsc (gVisor): a container is a sandbox with its own kernel, which is one program on the host. */
import { readFileSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { StackshimError, unlessMissing } from '../../core/errors.ts';
import { within } from '../../core/pause.ts';
import { parseJson } from '../../core/read-fields.ts';
import { namesIn } from '../../sys/files.ts';
import { readProcess } from '../../sys/processes.ts';
import { type ChildToWatch, type ExitSource, watchChild } from '../exit-source.ts';
import type { ContainerReference } from '../runtime.ts';
import { hasStateDirectory, other, removeStateDirectory } from './runc.ts';
import type { ExecDriver, RuntimeDriver } from './runtime-driver.ts';

/** The status of `runsc exec` if it lost its sandbox before the command ended. */
const SANDBOX_LOST = 128;

/** `runsc exec --detach` leaves a host program that waits for the command and ends like it. It drops every argument that contains `detach`. */
const execInside: ExecDriver = {
  toArguments({ id }, { processFile, pidFile, innerPidFile, consoleSocket }) {
    const args = [
      ...['--process', processFile, '--pid-file', pidFile, '--internal-pid-file', innerPidFile],
      ...(consoleSocket === undefined ? [] : ['--console-socket', consoleSocket]),
      id,
    ];
    if (args.some((arg) => arg.includes('detach'))) {
      const text = `execute in task ${id}: runsc cannot do so if the task's id or the run folder contains "detach"`;
      const hint = 'give the task another id';
      throw new StackshimError('ERR_STACKSHIM_HOST_UNSUPPORTED', text, { hint });
    }
    return ['exec', '--detach', ...args];
  },
  signaller: (container, innerPid) => (signal) => void signalInside(container, signal, innerPid),
  toExit: (exit) =>
    exit.exitCode === SANDBOX_LOST ? { exitCode: null, signal: constants.signals.SIGKILL } : exit,
};

export const runsc: RuntimeDriver = {
  ...other,
  // These options enforce the container's configuration: files are written to the given root filesystem, not to a hidden one inside the sandbox,
  // and the seccomp profile applies within the sandbox.
  toArguments: (options) => [
    ...other.toArguments(options),
    `--network=${options.hostNetwork ? 'host' : 'none'}`,
    '--overlay2=none',
    '--oci-seccomp',
  ],
  findsCommandAtStart: true,
  // runsc chooses its sandbox's cgroup itself, but the sandbox is always a child of this process.
  isOwnInit: (pid) => readProcess(pid)?.ppid === process.pid,
  exec: execInside,
  hasState: (container) => hasStateDirectory(container) || runscFiles(container).length > 0,
  // runsc's own `delete` waits up to 1.7 s for its dead children to be reaped.
  async removeState(container) {
    await removeStateDirectory(container);
    const socket = readControlSocket(container);
    if (socket !== undefined) rmSync(socket, { force: true });
    // The state file goes last, because it names the socket.
    const isState = (path: string) => path.endsWith('.state');
    const files = runscFiles(container).toSorted((a, b) => Number(isState(a)) - Number(isState(b)));
    for (const path of files) rmSync(path, { force: true });
  },
  watchExit: watchSandbox,
  signaller: (container) => (signal) => void signalInside(container, signal),
  async listInside(container) {
    const gvisor = await import('./gvisor-sandbox.ts');
    return await gvisor.listInSandbox(container, () => readControlSocket(container));
  },
  initIsPid1: false,
  // Whatever a task remounts inside, it writes to the host's side of the bind, which is read-only.
  locksBinds: true,
  servesBinds: true,
  givesDevices: false,
  usesHostSockets: false,
};

/** The sandbox is dead by then: its answer is in the socket already, or never comes. */
const ANSWERS_WITHIN_MS = 1000;

/** Watches a task's exit, which only the sandbox knows: the exit of its own process does not distinguish signals from exit codes. */
function watchSandbox(child: ChildToWatch, container: ContainerReference): ExitSource {
  const sandbox = watchChild(child);
  const socketPath = () => readControlSocket(container);
  const answered = import('./gvisor-sandbox.ts').then((gvisor) =>
    gvisor.waitInSandbox(container, socketPath),
  );
  let hasAnswered = false;
  const exited = sandbox.exited.then(async (exit) => {
    const inside = await within(answered, ANSWERS_WITHIN_MS);
    // The sandbox was killed from outside: that ends the task, whatever the command did.
    if (exit.signal !== null || inside === undefined) return exit;
    hasAnswered = true;
    return inside;
  });
  // Callers that await `exited` get the rejection.
  exited.catch(() => undefined);
  return {
    ...sandbox,
    exited,
    // The sandbox runs as a program before there is a command, but reports only a command's end.
    executed: () => hasAnswered || undefined,
  };
}

/** Signals one process of the container; without `pid`, all. */
async function signalInside(
  container: ContainerReference,
  signal: number,
  pid?: number,
): Promise<void> {
  const gvisor = await import('./gvisor-sandbox.ts');
  const socketPath = () => readControlSocket(container);
  await gvisor.signalSandbox(container, socketPath, { signal, pid });
}

/** The existing files that runsc stores for a container in its `--root`: `<id>_sandbox:<id>.state` and `.lock`, and the sandbox's control socket. */
export function runscFiles({ id, stateRoot }: ContainerReference): readonly string[] {
  return namesIn(stateRoot)
    .filter((name) => name.startsWith(`${id}_sandbox:`) || name === `runsc-${id}.sock`)
    .map((name) => `${stateRoot}/${name}`);
}

/** The path of the control socket in the sandbox's state file; undefined if there is none. */
export function readControlSocket({ id, stateRoot }: ContainerReference): string | undefined {
  const stateFile = `${stateRoot}/${id}_sandbox:${id}.state`;
  const text = unlessMissing(() => readFileSync(stateFile, 'utf8'));
  return text === undefined ? undefined : parseControlSocket(text, id);
}

/** The control socket in a state file's text; undefined unless runsc would have chosen this path for this container. */
export function parseControlSocket(text: string, id: string): string | undefined {
  // A killed runsc leaves a half-written file.
  const { sandbox }: Record<string, unknown> = { ...Object(parseJson(text)) };
  const { controlSocketPath: path }: Record<string, unknown> = { ...Object(sandbox) };
  if (typeof path !== 'string' || !path.startsWith('/') || path.includes('\0')) return undefined;
  return path.endsWith(`/runsc-${id}.sock`) ? path : undefined;
}
