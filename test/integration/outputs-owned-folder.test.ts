/** Outputs that go into a folder of another user, who replaces what root has just made there. Requires: root. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Budget } from '../../src/task/outputs/budget.ts';
import { ContentReader } from '../../src/task/outputs/content.ts';
import { FolderTarget } from '../../src/task/outputs/folder-target.ts';
import { LeftOut } from '../../src/task/outputs/left-out.ts';
import { Pace } from '../../src/task/outputs/pace.ts';
import { STRANGER_ID } from '../support/programs/stranger.ts';

const ENTRIES = 600;

/** Puts root's file in the place of each new link, and root's folder in the place of each new folder. */
const ATTACK = `
$| = 1;
print "ready\n";
for my $n (0 .. ${ENTRIES - 1}) {
  until (-l "link$n") { exit if -e 'stop' }
  rename "file$n", "link$n";
  until (-d "new$n") { exit if -e 'stop' }
  rename "new$n", "old$n";
  rename "folder$n", "new$n";
}
`;

const isStrangers = (path: string) =>
  lstatSync(path, { throwIfNoEntry: false })?.uid === STRANGER_ID;

/** Names of what was root's and has another owner now. */
const givenAway = (folder: string): readonly string[] => {
  const numbers = Array.from({ length: ENTRIES }, (_, n) => n);
  return numbers.flatMap((n) => [
    ...[`file${n}`, `link${n}`].filter((name) => {
      const path = join(folder, name);
      return lstatSync(path, { throwIfNoEntry: false })?.isFile() && isStrangers(path);
    }),
    ...[`folder${n}`, `new${n}`].filter((name) => {
      const path = join(folder, name);
      return lstatSync(`${path}/in`, { throwIfNoEntry: false }) && isStrangers(path);
    }),
  ]);
};

it('no file or folder of root’s is given away in the place of a new link or folder', async () => {
  const folder = mkdtempSync('/var/tmp/stackshim-owned-');
  for (let n = 0; n < ENTRIES; n += 1) {
    writeFileSync(join(folder, `file${n}`), 'secret', { mode: 0o600 });
    mkdirSync(join(folder, `folder${n}`), { mode: 0o700 });
    writeFileSync(join(folder, `folder${n}/in`), 'secret');
  }
  const owner = { uid: STRANGER_ID, gid: STRANGER_ID };
  chownSync(folder, owner.uid, owner.gid);
  const attacker = spawn('perl', ['-e', ATTACK], { cwd: folder, ...owner });
  const ended = once(attacker, 'exit');
  const fd = openSync(folder, 'r');
  try {
    await once(attacker.stdout, 'data');
    const budget = new Budget({ bytes: 1, entries: 1 });
    const content = new ContentReader(budget, new Pace(() => false));
    const target = new FolderTarget({ content, owner, replaces: 'own' });
    const into = { fd, isNew: false };
    const stats = { mode: 0o755, uid: 0, gid: 0, mtimeMs: 0 };
    for (let n = 0; n < ENTRIES; n += 1) {
      ignoreLeftOut(() => target.addLink(into, `link${n}`, { target: 'anywhere' }));
      ignoreLeftOut(() => target.closeFolder(target.openFolder(into, `new${n}`), stats));
    }
    writeFileSync(join(folder, 'stop'), '');
    await ended;
    expect(givenAway(folder)).toEqual([]);
  } finally {
    attacker.kill('SIGKILL');
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
});

/** A folder may be away for a moment. */
function ignoreLeftOut(call: () => void): void {
  try {
    call();
  } catch (error) {
    if (!(error instanceof LeftOut) && !(error instanceof Error && error.cause)) throw error;
  }
}
