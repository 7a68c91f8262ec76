/** The real kernel with one system call that fails or takes long, for all users of the `System` port in this process. */
import { constants } from 'node:os';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { type System, SystemError } from '../../../src/sys/system.ts';

/** `close` is left out: a close(2) that fails has closed the descriptor, and the port ignores the error. */
export type FailingMethod = Exclude<keyof System, 'close' | 'closeAside' | 'waitEpoll'>;

type Errno = keyof typeof constants.errno;

/** Errors that the kernel can return for each call on a host with exhausted resources or a failing disk. */
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
  // Also the error for the limit fs.mount-max.
  attachMount: ['ENOSPC', 'ENOMEM'],
  attachMountOver: ['ENOSPC', 'ENOMEM', 'EMFILE'],
  bindMount: ['ENOSPC', 'ENOMEM'],
  mountByString: ['ENOSPC', 'EIO'],
  detachMount: ['ENOMEM', 'EIO'],
  detachMountAside: ['ENOMEM', 'EIO'],
  makeDeviceNode: ['ENOSPC', 'ENOMEM'],
  lockFile: ['ENOLCK'],
  openInRoot: ['EMFILE', 'EIO'],
  openCached: ['EMFILE', 'ENOMEM'],
  watchFolder: ['EMFILE', 'ENOSPC'],
  attachLoopDevice: ['EMFILE', 'ENOMEM', 'EIO'],
  attachLoopDeviceAside: ['EMFILE', 'ENOMEM', 'EIO'],
  shutDownFilesystem: ['EIO'],
  enforcesProjectQuota: ['EIO'],
  setProject: ['EIO', 'ENOSPC'],
  limitProject: ['EIO', 'ENOSPC'],
  readProjectUsage: ['EIO'],
  // The error of a seccomp filter around the process.
  becomeSubreaper: ['EPERM'],
  changeDirectory: ['EACCES'],
  openSocketDiagnosis: ['EMFILE', 'ENFILE'],
  openNetFile: ['EMFILE', 'ENFILE'],
  openPidfd: ['EMFILE', 'ENOMEM'],
  signalPidfd: ['EPERM', 'ENOMEM'],
  // The first error: other code in this process has waited for every child.
  hasEnded: ['ENOMEM'],
  waitPidfd: ['ECHILD', 'EAGAIN'],
  waitChild: ['ECHILD'],
  isWaitable: ['EAGAIN'],
  createEpoll: ['EMFILE', 'ENOMEM'],
  // The first error is for fs.epoll.max_user_watches.
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
  /** Which call of the method, counted from 0. */
  readonly call: number;
  /** `slow`: the call succeeds after a delay. */
  readonly answer: Errno | 'slow';
  /** Applies to all later calls of the method as well. */
  readonly lasting: boolean;
}

export const describeFault = ({ method, call, answer, lasting }: Fault): string =>
  `${method} ${call}${lasting ? ' and later' : ''}: ${answer}`;

export type CallCounts = ReadonlyMap<FailingMethod, number>;

export interface FailingSystem {
  /** Runs `act` with this fault. Returns the number of calls of each method. */
  during(fault: Fault | null, act: () => Promise<void>): Promise<CallCounts>;
  /** Restores the real kernel port. */
  restore(): void;
}

/** Longer than a turn of the event loop, shorter than any time limit. */
const SLOW_MS = 20;

/** Stands between the process and the kernel until it is restored. */
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
