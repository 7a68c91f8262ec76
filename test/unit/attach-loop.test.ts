/** The errors for a missing loop device. */
import { describe, expect, it } from 'vitest';
import { attachLoop } from '../../src/sys/attach-loop.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { type System, SystemError } from '../../src/sys/system.ts';

const request = { operation: 'limit disk space', otherwise: 'do without' };

function attachWhere(error: Error): void {
  const system: System = {
    ...linuxSystem,
    attachLoopDevice() {
      throw error;
    },
  };
  attachLoop(system, 3, request);
}

describe('opening a loop device', () => {
  it.each(['ENOENT', 'ENXIO', 'EACCES', 'EBUSY'])(
    'that fails with %s gives an error that names the module',
    (code) => {
      const error = Object.assign(new Error(`${code}: open '/dev/loop-control'`), { code });
      expect(() => attachWhere(error)).toThrowError(
        expect.objectContaining({
          code: 'ERR_STACKSHIM_HOST_UNSUPPORTED',
          message: `limit disk space: no loop device: ${error.message}`,
          hint: 'load the module loop (modprobe loop), or do without',
          cause: error,
        }),
      );
    },
  );

  it.each([
    ['EMFILE', 24],
    ['ENFILE', 23],
    ['ENOMEM', 12],
  ])('that fails with %s gives an error of its own, not about loop devices', (code, errno) => {
    const error = new SystemError('ioctl LOOP_CONFIGURE', errno, code);
    expect(() => attachWhere(error)).toThrowError(error);
  });

  it('that fails with a fault of stackshim throws that fault', () => {
    const error = new TypeError('not a function');
    expect(() => attachWhere(error)).toThrowError(error);
  });
});
