/** The real kernel, of which one call fails or takes long: whatever uses the `System` port in this process meets that. */
import { constants } from 'node:os';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { type System, SystemError } from '../../../src/sys/system.ts';

/** `close` is left out: a close(2) that fails has closed the descriptor all the same, and the port keeps it to itself. */
export type FailingMethod = Exclude<keyof System, 'close' | 'closeAside' | 'waitEpoll'>;

type Errno = keyof typeof constants.errno;

/** What the kernel may answer each of them with, on a host that runs out of something or whose disk fails. */
export const ANSWERS: Readonly<Record<FailingMethod, readonly Errno[]>> = {
  openTreeClone: ['EMFILE', 'ENOMEM'],
  openRealTreeClone: ['EMFILE', 'EIO'],
  idmapMount: ['ENOMEM'],
  restrictMount: ['ENOMEM'],
  fsOpen: ['EMFILE'],
  fsConfigString: ['ENOMEM'],
  fsConfigFlag: ['ENOMEM'],
  fsConfigFd: ['ENOMEM'],
  fsConfigCreate: ['ENOMEM', 'ENOSPC', 'EIO'],
  fsConfigCreateAside: ['ENOMEM', 'ENOSPC', 'EIO'],
  fsContextLog: ['ENOMEM'],
  fsMount: ['EMFILE', 'ENOMEM'],
  // Also what fs.mount-max is kept with.
  attachMount: ['ENOSPC', 'ENOMEM'],
  bindMount: ['ENOSPC', 'ENOMEM'],
  mountByString: ['ENOSPC', 'EIO'],
  detachMount: ['ENOMEM', 'EIO'],
  detachMountAside: ['ENOMEM', 'EIO'],
  makeDeviceNode: ['ENOSPC', 'ENOMEM'],
  lockFile: ['ENOLCK'],
  openInRoot: ['EMFILE', 'EIO'],
  watchFolder: ['EMFILE', 'ENOSPC'],
  attachLoopDevice: ['EMFILE', 'ENOMEM', 'EIO'],
  attachLoopDeviceAside: ['EMFILE', 'ENOMEM', 'EIO'],
  shutDownFilesystem: ['EIO'],
  enforcesProjectQuota: ['EIO'],
  setProject: ['EIO', 'ENOSPC'],
  limitProject: ['EIO', 'ENOSPC'],
  readProjectUsage: ['EIO'],
  // Of a seccomp filter around the process.
  becomeSubreaper: ['EPERM'],
  changeDirectory: ['EACCES'],
  openSocketDiagnosis: ['EMFILE', 'ENFILE'],
  openNetFile: ['EMFILE', 'ENFILE'],
  openPidfd: ['EMFILE', 'ENOMEM'],
  signalPidfd: ['EPERM', 'ENOMEM'],
  // The first: somebody else in this process has waited for every child.
  hasEnded: ['ENOMEM'],
  waitPidfd: ['ECHILD', 'EAGAIN'],
  waitChild: ['ECHILD'],
  isWaitable: ['EAGAIN'],
  createEpoll: ['EMFILE', 'ENOMEM'],
  // The first: fs.epoll.max_user_watches.
  addToEpoll: ['ENOSPC', 'ENOMEM'],
  removeFromEpoll: ['ENOMEM'],
  pollEpoll: ['ENOMEM'],
  createPipe: ['EMFILE', 'ENFILE'],
  listenUnix: ['EMFILE', 'ENOSPC'],
  receiveFd: ['EMFILE'],
  windowSize: ['EIO'],
  setWindowSize: ['EIO'],
};

export interface Fault {
  readonly method: FailingMethod;
  /** Which call of the method, from 0. */
  readonly call: number;
  /** `slow`: it succeeds, and takes its time. */
  readonly answer: Errno | 'slow';
  /** So do all later calls of the method. */
  readonly lasting: boolean;
}

export const describeFault = ({ method, call, answer, lasting }: Fault): string =>
  `${method} ${call}${lasting ? ' and later' : ''}: ${answer}`;

export type CallCounts = ReadonlyMap<FailingMethod, number>;

export interface FailingSystem {
  /** Runs `act`, and the process with it, with this fault. Tells how many calls of each method there were. */
  during(fault: Fault | null, act: () => Promise<void>): Promise<CallCounts>;
  /** The kernel as it is. */
  restore(): void;
}

/** More than a turn of the event loop, less than any time limit. */
const SLOW_MS = 20;

/** Puts itself between the process and the kernel until it is restored. */
export function failSystem(): FailingSystem {
  const real = { ...linuxSystem };
  let counts = new Map<FailingMethod, number>();
  let fault: Fault | null = null;
  const meet = (method: FailingMethod) => {
    const call = counts.get(method) ?? 0;
    counts.set(method, call + 1);
    if (fault?.method !== method) return;
    if (call !== fault.call && !(fault.lasting && call > fault.call)) return;
    if (fault.answer !== 'slow') {
      throw new SystemError(method, constants.errno[fault.answer], fault.answer, 'injected');
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SLOW_MS);
  };
  for (const method of Object.keys(ANSWERS) as FailingMethod[]) {
    const call = real[method] as (...args: unknown[]) => unknown;
    Object.assign(linuxSystem, {
      [method]: (...args: unknown[]) => {
        meet(method);
        return call(...args);
      },
    });
  }
  return {
    async during(next, act) {
      counts = new Map();
      fault = next;
      try {
        await act();
      } finally {
        fault = null;
      }
      return counts;
    },
    restore: () => void Object.assign(linuxSystem, real),
  };
}
