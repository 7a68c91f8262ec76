/** Root filesystems in folders of other users: links in them, and folders that become links while root reads them. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { runCli } from '../../support/cli/run-cli.ts';
import { AS_STRANGER, STRANGER_ID } from '../../support/programs/stranger.ts';
import { makeBusyboxTar } from '../../support/stacks/busybox-stack.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import { makeForeignFolder, plantLink, runNaive } from '../support/host-scene.ts';
import { toVerdict } from '../support/probe.ts';

const group = 'images and layers';
/** Enough for many exchanges to meet each import. */
const TRIES = 6;

/** A root filesystem of the attacker, and beside it a folder of root with the secret. */
async function makeTree(scene: HostProbeScene): Promise<{ tree: string; secrets: string }> {
  const secrets = `${scene.folder}/secrets`;
  mkdirSync(secrets, { mode: 0o700 });
  writeFileSync(`${secrets}/file`, scene.secret, { mode: 0o600 });
  const tree = makeForeignFolder(scene, 'tree');
  execFileSync('tar', ['-x', '-p', '-C', tree], { input: await makeBusyboxTar() });
  mkdirSync(`${tree}/var/swap`);
  writeFileSync(`${tree}/var/swap/file`, 'of the attacker');
  execFileSync('chown', ['-R', '-h', `${STRANGER_ID}:${STRANGER_ID}`, tree]);
  return { tree, secrets };
}

/** Imports the folder as a stack, and looks for the secret in a task. An import that fails reveals nothing. */
async function revealsByImport({ installation, secret }: HostProbeScene, tree: string) {
  const { env } = installation;
  const name = `tree-${process.hrtime.bigint()}`;
  const { status } = await runCli(['stack', 'import', name, tree], { env });
  if (status !== 0) return false;
  const { stdout } = await runCli(['run', name, 'grep', '-rl', secret, '/var', '/etc'], { env });
  return stdout !== '';
}

const linked: HostProbe = {
  name: 'links in a root filesystem',
  group,
  tries: 'a folder that root imports has links to files and folders of root',
  stoppedBy: 'no link in the folder is followed: links are stored as links',
  shownOn: 'cp -rL, which follows links',
  async attack(scene) {
    const { tree, secrets } = await makeTree(scene);
    plantLink(secrets, `${tree}/var/folder`);
    plantLink(`${secrets}/file`, `${tree}/etc/file`);
    return toVerdict(await revealsByImport(scene, tree));
  },
  async proof(scene) {
    const { tree, secrets } = await makeTree(scene);
    plantLink(secrets, `${tree}/var/folder`);
    const naive = 'cp -rL "$1/var" "$2/copy"; grep -rl "$3" "$2/copy"';
    return toVerdict(runNaive(naive, [tree, scene.folder, scene.secret]) !== '');
  },
};

const exchanged: HostProbe = {
  name: 'a folder of a root filesystem exchanged with a link',
  group,
  tries: 'while root reads the folder, folders in it become links to folders of root and back',
  stoppedBy: 'folders are opened below the open folder, without following links',
  shownOn: 'a script that looks at a path first and reads it then',
  timeoutMs: 120_000,
  async attack(scene) {
    const { tree, secrets } = await makeTree(scene);
    const swap = `while :; do mv -T var/swap var/kept; ln -s ${secrets} var/swap; rm var/swap; mv -T var/kept var/swap; done`;
    const [program = '', ...args] = [...AS_STRANGER, 'sh', '-c', swap];
    const swapper = spawn(program, args, { cwd: tree, stdio: 'ignore' });
    await once(swapper, 'spawn');
    try {
      for (let tries = 0; tries < TRIES; tries += 1) {
        if (await revealsByImport(scene, tree)) return toVerdict(true);
      }
      return toVerdict(false);
    } finally {
      swapper.kill('SIGKILL');
      await once(swapper, 'exit');
    }
  },
  async proof(scene) {
    const { tree, secrets } = await makeTree(scene);
    const naive = '[ -d "$1" ] && [ ! -L "$1" ] && echo ready && read _ && cat "$1/file"';
    const script = spawn('sh', ['-c', naive, 'sh', `${tree}/var/swap`]);
    await once(script.stdout, 'data');
    renameSync(`${tree}/var/swap`, `${tree}/var/kept`);
    plantLink(secrets, `${tree}/var/swap`);
    const said = script.stdout.toArray();
    script.stdin.end('go\n');
    return toVerdict(
      Buffer.concat(await said)
        .toString()
        .includes(scene.secret),
    );
  },
};

export const rootfsProbes: readonly HostProbe[] = [linked, exchanged];
