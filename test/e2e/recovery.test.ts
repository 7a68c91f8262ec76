/** Runs the commands of docs/recovery.md as they are printed there. */
import { execFileSync } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { runCli, STACKSHIM, startCli } from '../support/cli/run-cli.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { installBusyboxStack } from '../support/stacks/busybox-stack.ts';

const { env, layout } = useInstallation();
const document = readFileSync(new URL('../../docs/recovery.md', import.meta.url), 'utf8');
const bin = mkdtempSync('/var/tmp/stackshim-bin-');
symlinkSync(STACKSHIM, join(bin, 'stackshim'));
afterAll(() => rmSync(bin, { recursive: true }));

/** The first shell block after a text of the document. */
function commandsBehind(text: string): string {
  const [, behind] = document.split(text);
  return (
    /```sh\n([\s\S]*?)```/.exec(behind ?? '')?.[1] ?? expect.fail(`no commands behind ${text}`)
  );
}

const runCommands = (script: string) =>
  execFileSync('/bin/sh', ['-ec', script], {
    encoding: 'utf8',
    env: { ...process.env, ...env, PATH: `${bin}:${process.env['PATH']}` },
  });

it('goes back to an earlier generation', async () => {
  await installBusyboxStack(layout, 'newer');
  const [earlier, damaged] = readdirSync(join(layout.root, 'generations')).sort();
  const file = join(layout.root, 'generations', damaged ?? '');
  writeFileSync(file, 'damaged');
  const list = await runCli(['stack', 'ls'], { env });
  expect(list).toMatchObject({ status: 1, stdout: '' });
  expect(list.stderr).toContain('[ERR_STACKSHIM_STACK_CORRUPT]');
  expect(await runCli(['run', 'busybox@rev:1', 'echo', 'ran'], { env })).toMatchObject({
    status: 0,
  });
  const shown = runCommands(commandsBehind('**Go back to an earlier generation.**'));
  expect(readlinkSync(join(layout.root, 'current'))).toBe(`generations/${earlier}`);
  expect(shown).toMatch(/^busybox +1 /m);
  expect(await runCli(['run', 'busybox', 'echo', 'ran'], { env })).toMatchObject({
    stdout: 'ran\n',
  });
  rmSync(file);
  rmSync(join(layout.root, 'stacks/newer'), { recursive: true });
});

it('removes an installation with everything that runs in it', async () => {
  const running = startCli(
    ['run', '--name', 'one', 'busybox', 'sh', '-c', 'echo ready; sleep 1000'],
    { env },
  );
  await running.printed('ready');
  await runCli(['run', '--name', 'two', '--keep', 'busybox', 'true'], { env });
  const orphan = startCli(['run', 'busybox', 'sh', '-c', 'echo ready; sleep 1000'], { env });
  await orphan.printed('ready');
  orphan.child.kill('SIGKILL');
  await orphan.ended;
  runCommands(commandsBehind('## Removing an installation entirely'));
  expect((await running.ended).status).toBe(143);
  expect(readdirSync(join(layout.root, '..')).filter((name) => name !== 'policy.json')).toEqual([]);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(layout.run);
});
