import { describe, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { SystemError } from '../../src/sys/system.ts';
import { taskPlaces } from '../../src/task/records/task-places.ts';
import { toSetupError } from '../../src/task/setup-error.ts';

const folder = import.meta.dirname;
const layout = { root: folder, run: folder, policyFile: '', slots: '' };
const places = taskPlaces(layout, parseTaskId('t'));
const refused = (syscall: string, code: string) =>
  toSetupError(new SystemError(syscall, 28, code, 'x'), places);

describe('an exhausted resource is reported with a hint', () => {
  it.each([
    ['move_mount', 'ENOSPC', 'fs.mount-max'],
    ['mount --bind', 'ENOSPC', 'fs.mount-max'],
    ['epoll_ctl', 'ENOSPC', 'fs.epoll.max_user_watches'],
    ['pipe2', 'EMFILE', 'ulimit -n'],
    ['pipe2', 'ENFILE', 'fs.file-max'],
  ])('%s: %s', (syscall, code, hint) => {
    const error = refused(syscall, code);
    expect(error).toMatchObject({ code: 'ERR_STACKSHIM_PROCESS_EXHAUSTED', kind: 'exhausted' });
    expect(error.message).toBe(`set up task: ${syscall} x: ${code}`);
    expect(error.hint).toContain(hint);
  });

  it('a full disk has its own code', () => {
    expect(refused('fsconfig', 'ENOSPC')).toMatchObject({ code: 'ERR_STACKSHIM_DISK_FULL' });
  });
});
