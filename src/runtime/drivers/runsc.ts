/** runsc: a container is a sandbox with a kernel of its own (gVisor), which is one program of the host. */
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
  // They make a container what its configuration says: files are written to the root filesystem that it was given, not to a hidden
  // one of its own, and the seccomp profile holds within the sandbox.
  toArguments: (options) => [
    ...other.toArguments(options),
    `--network=${options.hostNetwork ? 'host' : 'none'}`,
    '--overlay2=none',
    '--oci-seccomp',
  ],
  findsCommandAtStart: true,
  // It keeps its sandbox where it likes; it is a child of ours all the same.
  isOwnInit: (pid) => readProcess(pid)?.ppid === process.pid,
  hasState: (container) => hasStateDirectory(container) || runscFiles(container).length > 0,
  // Its own `delete` waits until its dead children were waited for: up to 1.7 s.
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

/** The sandbox is dead by then: its answer is in the socket or never comes. */
const TOLD_WITHIN_MS = 1000;

/** How a task ended is known inside its sandbox: the exit of the sandbox's own process tells only half of it. */
function watchSandbox(child: ChildToWatch, container: ContainerReference): ExitSource {
  const sandbox = watchChild(child);
  const told = import('./gvisor-sandbox.ts').then((gvisor) => gvisor.waitInSandbox(container));
  let wasTold = false;
  const exited = sandbox.exited.then(async (exit) => {
    const inside = await within(told, TOLD_WITHIN_MS);
    // Killed from outside: whatever the task itself had come to, that was its end.
    if (exit.signal !== null || inside === undefined) return exit;
    wasTold = true;
    return inside;
  });
  // Whoever awaits it hears of it.
  exited.catch(() => undefined);
  return {
    ...sandbox,
    exited,
    // The sandbox is a program before there is a command, but tells only of a command's end.
    executed: () => wasTold || undefined,
  };
}

async function signalInside(container: ContainerReference, signal: number): Promise<void> {
  const gvisor = await import('./gvisor-sandbox.ts');
  await gvisor.signalSandbox(container, signal);
}
