/** A kernel port that only records calls: tests of calls and their order without root. */
import type { Fd, System } from '../../../src/sys/system.ts';

export interface RecordingSystem {
  readonly system: System;
  /** One line for each call: `openTreeClone /layers/a = 10`. */
  readonly calls: readonly string[];
  /** Descriptors that were returned and not closed. */
  readonly open: ReadonlySet<Fd>;
  /** Makes the next call of `method` whose line contains `part` throw `error`. */
  failOn(method: keyof System, part: string, error: Error): void;
}

const FIRST_FD = 10;
/** Every root filesystem has every other file. */
export const MISSING_FILE = 'etc/missing';
const returnsFd: ReadonlySet<string> = new Set([
  'openTreeClone',
  'openRealTreeClone',
  'fsOpen',
  'fsMount',
]);

export function recordSystem(): RecordingSystem {
  const calls: string[] = [];
  const open = new Set<Fd>();
  const attached = new Set<unknown>();
  const failures: { method: string; part: string; error: Error }[] = [];
  let nextFd = FIRST_FD;
  const call = (method: string, args: readonly unknown[]): unknown => {
    const shown = args.map((value) => (typeof value === 'object' ? JSON.stringify(value) : value));
    const line = [method, ...shown].join(' ');
    const index = failures.findIndex(
      (failure) => failure.method === method && line.includes(failure.part),
    );
    if (index >= 0) {
      calls.push(`${line} !`);
      const [failure] = failures.splice(index, 1);
      throw failure?.error;
    }
    if (method === 'close') open.delete(args[0] as Fd);
    if (!returnsFd.has(method)) {
      calls.push(line);
      if (method === 'attachMount') attached.add(args[1]);
      if (method === 'attachMountOver') return args[2] !== MISSING_FILE;
      if (method === 'detachMount') return attached.delete(args[0]);
      return method === 'fsContextLog' ? '' : undefined;
    }
    const fd = nextFd;
    nextFd += 1;
    open.add(fd);
    calls.push(`${line} = ${fd}`);
    return fd;
  };
  const system = new Proxy({} as System, {
    // Work on other threads is recorded as well.
    get:
      (_, method) =>
      (...args: readonly unknown[]) =>
        call(String(method).replace(/Aside$/, ''), args),
  });
  return {
    system,
    calls,
    open,
    failOn: (method, part, error) => void failures.push({ method, part, error }),
  };
}
