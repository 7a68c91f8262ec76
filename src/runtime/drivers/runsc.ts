/** runsc (gVisor): a container is a sandbox with its own kernel, which is one program of the host. */
import { within } from '../../core/pause.ts';
import { readProcess } from '../../sys/processes.ts';
import { type ChildToWatch, type ExitSource, watchChild } from '../exit-source.ts';
import type { ContainerReference } from '../runtime.ts';
import { hasStateDirectory, other, removeStateDirectory } from './runc.ts';
import { removeRunscFiles, runscFiles } from './runsc-files.ts';
import type { RuntimeDriver } from './runtime-driver.ts';

export const runsc: RuntimeDriver = {
  ...other,
  kind: 'runsc',
  // These options make the container follow its configuration: files are written to the given root filesystem and not to a hidden one inside
  // the sandbox, and the seccomp profile applies within the sandbox.
  toArguments: (options) => [
    ...other.toArguments(options),
    `--network=${options.hostNetwork ? 'host' : 'none'}`,
    '--overlay2=none',
    '--oci-seccomp',
  ],
  findsCommandAtStart: true,
  // runsc chooses the cgroup of its sandbox itself; but the sandbox is always a child of this process.
  isOwnInit: (pid) => readProcess(pid)?.ppid === process.pid,
  hasState: (container) => hasStateDirectory(container) || runscFiles(container).length > 0,
  // runsc's own `delete` waits up to 1.7 s until its dead children were waited for.
  async removeState(container) {
    await removeStateDirectory(container);
    removeRunscFiles(container);
  },
  watchExit: watchSandbox,
  signaller: (container) => (signal) => void signalInside(container, signal),
  initIsPid1: false,
  // Whatever a task remounts inside, its writes go to the host's side of the bind, which is read-only.
  locksBinds: true,
  servesBinds: true,
  givesDevices: false,
  usesHostSockets: false,
};

/** The sandbox is dead by then: its answer is already in the socket, or never comes. */
const ANSWERS_WITHIN_MS = 1000;

/** The exit of a task, which only its sandbox knows: the exit of the sandbox's own process does not tell signals from exit codes. */
function watchSandbox(child: ChildToWatch, container: ContainerReference): ExitSource {
  const sandbox = watchChild(child);
  const answered = import('./gvisor-sandbox.ts').then((gvisor) => gvisor.waitInSandbox(container));
  let hasAnswered = false;
  const exited = sandbox.exited.then(async (exit) => {
    const inside = await within(answered, ANSWERS_WITHIN_MS);
    // The sandbox was killed from outside: that is the task's end, whatever the command did.
    if (exit.signal !== null || inside === undefined) return exit;
    hasAnswered = true;
    return inside;
  });
  // Callers that await `exited` get the rejection.
  exited.catch(() => undefined);
  return {
    ...sandbox,
    exited,
    // The sandbox runs as a program before there is a command, but it reports only the end of a command.
    executed: () => hasAnswered || undefined,
  };
}

async function signalInside(container: ContainerReference, signal: number): Promise<void> {
  const gvisor = await import('./gvisor-sandbox.ts');
  await gvisor.signalSandbox(container, signal);
}
