/** The folder of a further command when its task is removed meanwhile. Requires: root. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { TaskId } from '../../src/core/ids.ts';
import { ExecFolder } from '../../src/task/exec/exec-folder.ts';
import type { TaskPlaces } from '../../src/task/records/task-places.ts';

it('a task that is removed before the command is told has ended', () => {
  const folder = mkdtempSync('/var/tmp/stackshim-exec-');
  const taskDir = join(folder, 'task');
  mkdirSync(taskDir);
  const places = { id: 'gone' as TaskId, taskDir, execsDir: `${taskDir}/execs` } as TaskPlaces;
  const made = new ExecFolder(places, { tty: false });
  rmSync(taskDir, { recursive: true });
  // Another task of the same id.
  mkdirSync(`${taskDir}/execs`, { recursive: true });
  const by = { pid: 1, uid: 0, loginUid: null, sudoUid: null };
  const told = { command: ['true'], user: '0:0', by, exit: null, error: null };
  try {
    expect(() => made.begin({ ...told, startedAt: new Date().toISOString() })).toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_TASK_CONFLICT' }),
    );
  } finally {
    made.close();
  }
  expect(existsSync(made.files.processFile)).toBe(false);
  rmSync(folder, { recursive: true });
});
