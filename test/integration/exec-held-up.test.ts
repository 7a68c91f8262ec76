/** A runtime that is held up before it has read the process that it is to start. Requires: root. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { beginExec } from '../../src/runtime/exec-in-container.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { openNullDevice } from '../../src/sys/start-program.ts';

const LARGER_THAN_A_PIPE = 'x'.repeat(300_000);

it('is killed in time, also if the process does not fit into a pipe', async () => {
  const folder = mkdtempSync('/var/tmp/stackshim-held-');
  const path = join(folder, 'runc');
  writeFileSync(path, '#!/bin/sh\nexec sleep 1000\n');
  chmodSync(path, 0o755);
  const stdio = [openNullDevice('input'), openNullDevice('both'), openNullDevice('both')] as const;
  const file = (name: string) => join(folder, name);
  try {
    const begun = beginExec(
      linuxSystem,
      { kind: 'runc', path, version: '1.3.3' },
      {
        container: { id: 'none', stateRoot: folder },
        files: {
          processFile: file('process'),
          pidFile: file('pid'),
          innerPidFile: file('inner-pid'),
          consoleSocket: undefined,
        },
        logFile: file('log'),
        stdio,
        timeoutMs: 500,
        signal: new AbortController().signal,
      },
    );
    await expect(begun.finish(LARGER_THAN_A_PIPE)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_RUNTIME_FAILED',
      details: { reason: 'timeout' },
    });
  } finally {
    for (const fd of stdio) linuxSystem.close(fd);
    rmSync(folder, { recursive: true });
  }
});
