/** The modes that a task finds do not depend on the umask of the library's caller. Requires: root. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, expect, it } from 'vitest';
import { runTask } from '../../src/index.ts';
import { useInstallation } from '../support/installation/installation.ts';

const { options } = useInstallation();
const folder = mkdtempSync('/var/tmp/stackshim-umask-');
afterAll(() => rmSync(folder, { recursive: true }));
const umask = process.umask();
afterEach(() => void process.umask(umask));

/** Everything that the runtime or stackshim creates for the task, and what it reads as another user than root. */
const SCRIPT =
  'umask; stat -c "%a %u %n" /a /a/b /x /x/y /run/stackshim $(dirname $TASK_PROGRESS_FILE) $TASK_PROGRESS_FILE /task /task/file | sort; cat "$PAYLOAD_FILE" /task/file';

async function look(mask: number): Promise<string | undefined> {
  process.umask(mask);
  const { exitCode, output } = await runTask(
    {
      stack: 'busybox',
      command: ['sh', '-c', SCRIPT],
      user: 'user',
      code: `${folder}/code`,
      payload: 'payload',
      tmpfs: ['/a/b/c'],
      volumes: [`${folder}/code:/x/y/z:ro`],
    },
    options,
  );
  return exitCode === 0 ? output.stdout : undefined;
}

it.each([
  ['077', 0o077],
  ['0777', 0o777],
  ['0', 0],
])('a task finds the same modes with umask %s of its caller', async (_, mask) => {
  mkdirSync(`${folder}/code`, { recursive: true });
  writeFileSync(`${folder}/code/file`, ' and code');
  const usual = await look(0o022);
  const [own, progress] = ['755 1000 /task', '/run/stackshim/progress'];
  const made = `(755 0 [^\\n]+\\n){5}${own}\\n777 0 ${progress}\\npayload and code`;
  const files = `644 0 /task/file\\n666 0 ${progress}/text`;
  expect(usual).toMatch(new RegExp(`^0022\\n${files}\\n${made}$`));
  expect(await look(mask)).toBe(usual);
});
