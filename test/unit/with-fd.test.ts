/** A descriptor stays open for as long as it is used, and no longer. */
import { fstatSync, openSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { withFd } from '../../src/sys/paths.ts';

const open = () => openSync('/dev/null', 'r');
const isOpen = (fd: number) => {
  try {
    return fstatSync(fd).isCharacterDevice();
  } catch {
    return false;
  }
};

describe('withFd', () => {
  it('closes the descriptor after the call, whether it returns or throws', () => {
    const fd = open();
    expect(withFd(fd, isOpen)).toBe(true);
    expect(isOpen(fd)).toBe(false);
    const other = open();
    const fail = () => {
      throw new Error('failed');
    };
    expect(() => withFd(other, fail)).toThrow('failed');
    expect(isOpen(other)).toBe(false);
  });

  it('keeps the descriptor open until a promise settles', async () => {
    const fd = open();
    let wasOpen = false;
    const used = withFd(fd, async () => {
      await new Promise(setImmediate);
      wasOpen = isOpen(fd);
      throw new Error('failed');
    });
    await expect(used).rejects.toThrow('failed');
    expect(wasOpen).toBe(true);
    expect(isOpen(fd)).toBe(false);
  });
});
