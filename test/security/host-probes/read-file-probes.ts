/** Files that root reads: saves that were signed once, keys and passwords that are not secret, and texts that would control a terminal. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { resolveStack } from '../../../src/store/stacks/resolve-stack.ts';
import { runCli } from '../../support/cli/run-cli.ts';
import { writeSmallOciLayout } from '../../support/images/small-oci-layout.ts';
import { makeTar } from '../../support/images/small-tar.ts';
import { disposeInstallation } from '../../support/installation/dispose-installation.ts';
import { STRANGER_ID } from '../../support/programs/stranger.ts';
import { makeBusyboxTar } from '../../support/stacks/busybox-stack.ts';
import { toStack } from '../../support/stacks/exchange-lab.ts';
import {
  makeSecondMachine,
  repeatLayer,
  type SecondMachine,
} from '../../support/stacks/second-machine.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import { makeKey, runNaive } from '../support/host-scene.ts';
import { toVerdict } from '../support/probe.ts';

const group = 'files that root reads';
/** The end marker of a tar. */
const TRAILER_BYTES = 1024;

/** Terminal controls: a title, a colour by one character (C1), right-to-left text. */
const STEERING = '\u001b]0;title\u0007\u009b31m\u202e';
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not get out
const STEERS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

interface SaveProbe extends Pick<HostProbe, 'name' | 'tries' | 'stoppedBy' | 'shownOn'> {
  /** How the attacker changes a sound save. */
  readonly change: (file: Buffer) => Buffer;
  /** A shell script with the file as `$1`: prints `taken` if it accepts the file. */
  readonly naive: string;
}

/** The installation that loads the save. */
function makeReceiver(scene: HostProbeScene): SecondMachine {
  const folder = `${scene.folder}/second`;
  mkdirSync(folder);
  const machine = makeSecondMachine(folder, scene.installation.layout);
  scene.defer(() => disposeInstallation(machine.layout));
  return machine;
}

const saveProbes: readonly SaveProbe[] = [
  {
    name: 'a save whose layers are repeated',
    tries: 'the layers come again and again behind the signed index, to fill the disk',
    stoppedBy: 'each layer comes once, in the order of the signed index',
    shownOn: 'tar, which takes every entry of a file',
    change: (file) => repeatLayer(file, 20),
    naive: 'tar -xf "$1" -C "$2" && echo taken',
  },
  {
    name: 'a save whose index was changed',
    tries: 'the index of a signed save gives a stack another name',
    stoppedBy: 'the signature is of the index, byte for byte',
    shownOn: 'tar, which checks no signature',
    change(file) {
      file.write('c', file.indexOf('"busybox"') + 1);
      return file;
    },
    naive: 'tar -xOf "$1" stackshim.json | grep -q cusybox && echo taken',
  },
  {
    name: 'a save with a layer that its index does not name',
    tries: 'a layer of the attacker’s is put behind those that were signed',
    stoppedBy: 'what the signed index does not name is refused',
    shownOn: 'tar, which takes every entry of a file',
    change(file) {
      const more = makeTar([{ path: `layers/${'0'.repeat(64)}.erofs`, content: 'a layer' }]);
      return Buffer.concat([file.subarray(0, file.length - TRAILER_BYTES), more]);
    },
    naive: 'tar -xf "$1" -C "$2" && echo taken',
  },
];

const toSaveProbe = ({ change, naive, ...said }: SaveProbe): HostProbe => ({
  ...said,
  group,
  async attack(scene) {
    const machine = makeReceiver(scene);
    const file = change(await machine.save(['busybox']));
    const { status } = await runCli(['load', '-'], { env: machine.env, input: file });
    return toVerdict(status === 0);
  },
  async proof(scene) {
    const file = `${scene.folder}/saved.tar`;
    writeFileSync(file, change(await makeReceiver(scene).save(['busybox'])));
    return toVerdict(runNaive(naive, [file, scene.folder]).includes('taken'));
  },
});

const replayed: HostProbe = {
  name: 'an older save replayed',
  group,
  tries: 'a save that was signed long ago, with a hole in it, is passed off as today’s',
  stoppedBy: 'a save that is not newer than what is here is refused',
  shownOn: 'cp, which puts any file in the place of another',
  async attack(scene) {
    const machine = makeReceiver(scene);
    const { layout, env } = machine;
    const older = await machine.save(['busybox'], { clock: () => new Date('2020-01-01') });
    await machine.load(older);
    const directory = `${scene.folder}/newer`;
    await writeSmallOciLayout(directory, { layers: [await makeBusyboxTar()], env: ['NEWER=1'] });
    await runCli(['stack', 'import', 'busybox', `oci:${directory}`], { env });
    await runCli(['load', '-'], { env, input: older });
    const { image } = resolveStack(layout, { name: toStack('busybox') });
    return toVerdict(!image.config.env.includes('NEWER=1'));
  },
  proof(scene) {
    const [older, newer] = [`${scene.folder}/2020`, `${scene.folder}/2021`];
    writeFileSync(older, 'older');
    writeFileSync(newer, 'newer');
    const now = runNaive('cp "$1" "$2"; cat "$2"', [older, newer]);
    return Promise.resolve(toVerdict(now === 'older'));
  },
};

interface SecretProbe extends Pick<HostProbe, 'name' | 'tries'> {
  readonly spoil: (path: string) => void;
}

/** Whether a key that the attacker knows signs what root saves. */
const toKeyProbe = ({ name, tries, spoil }: SecretProbe): HostProbe => ({
  name,
  group,
  tries,
  stoppedBy: 'a key must belong to root and be readable by nobody else, as ssh has it',
  shownOn: 'openssl, which signs with any key',
  async attack(scene) {
    const key = makeKey(scene);
    spoil(key);
    const { env } = scene.installation;
    const file = `${scene.folder}/saved.tar`;
    await runCli(['save', file, 'busybox', '--key', key], { env });
    return toVerdict(existsSync(file));
  },
  proof(scene) {
    const key = makeKey(scene);
    spoil(key);
    writeFileSync(`${scene.folder}/text`, 'text');
    const naive = 'openssl pkeyutl -sign -rawin -inkey "$1" -in "$2" | wc -c';
    return Promise.resolve(toVerdict(Number(runNaive(naive, [key, `${scene.folder}/text`])) > 0));
  },
});

const keyProbes = [
  {
    name: 'a private key that others can read',
    tries: 'root signs a save with a key that every local user has read',
    spoil: (path: string) => chmodSync(path, 0o644),
  },
  {
    name: 'a private key of another user',
    tries: 'root signs a save with a key that belongs to another user',
    spoil: (path: string) => chownSync(path, STRANGER_ID, STRANGER_ID),
  },
].map(toKeyProbe);

const passwords: HostProbe = {
  name: 'passwords that others can read',
  group,
  tries:
    'root logs in to a registry with a file of passwords that every local user has read, or written',
  stoppedBy:
    'the file must belong to root and be readable by nobody else; a copy of what was checked is used',
  shownOn: 'skopeo, which takes any file',
  attack: (scene) =>
    countConnections(scene, async (host, authFile) => {
      const args = ['stack', 'import', 'pulled', `docker://${host}/image`, '--authfile', authFile];
      await runCli([...args, '--tls-verify', 'false'], scene.installation);
    }),
  proof: (scene) =>
    countConnections(scene, async (host, authFile) => {
      const args = ['inspect', '--tls-verify=false', `--authfile=${authFile}`];
      const skopeo = spawn('skopeo', [...args, `docker://${host}/image`], { stdio: 'ignore' });
      await once(skopeo, 'close');
    }),
};

/** Whether a registry is contacted at all. */
async function countConnections(
  scene: HostProbeScene,
  work: (host: string, authFile: string) => Promise<void>,
) {
  const authFile = `${scene.folder}/auth.json`;
  writeFileSync(authFile, '{"auths": {}}', { mode: 0o644 });
  chmodSync(authFile, 0o644);
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as AddressInfo;
    await work(`127.0.0.1:${port}`, authFile);
  } finally {
    server.close();
  }
  return toVerdict(connections > 0);
}

interface TextProbe extends Pick<HostProbe, 'name' | 'tries' | 'shownOn'> {
  /** Makes root print a text of the attacker; returns all output. */
  readonly print: (scene: HostProbeScene) => Promise<string>;
  /** A shell script; the text is `$1`. */
  readonly naive: string;
}

const toTextProbe = ({ print, naive, ...said }: TextProbe): HostProbe => ({
  ...said,
  group,
  stoppedBy: 'whatever a command prints has its control and format characters escaped',
  attack: async (scene) => toVerdict(STEERS.test(await print(scene))),
  proof: () => Promise.resolve(toVerdict(STEERS.test(runNaive(naive, [STEERING])))),
});

const printed = async (args: readonly string[], { installation }: HostProbeScene) => {
  const { stdout, stderr } = await runCli(args, { env: installation.env });
  return stdout + stderr;
};

/** An image with terminal controls wherever it may contain text. */
async function makeSteeringImage(scene: HostProbeScene): Promise<string> {
  const directory = `${scene.folder}/image`;
  const labels = {
    'io.stackshim.description': `tools ${STEERING}`,
    'io.stackshim.smoke': JSON.stringify(['/bin/sh', '-c', `echo '${STEERING}'; exit 1`]),
  };
  await writeSmallOciLayout(directory, { layers: [await makeBusyboxTar()], labels });
  return `oci:${directory}`;
}

const textProbes = [
  {
    name: 'steering characters in what a smoke command prints',
    tries: 'the smoke command of an image prints characters that steer root’s terminal, and fails',
    shownOn: 'a script that passes on what a program printed',
    naive: 'printf "%s" "$1"',
    print: async (scene: HostProbeScene) =>
      await printed(['stack', 'import', 'steering', await makeSteeringImage(scene)], scene),
  },
  {
    name: 'steering characters in the description of an image',
    tries: 'the labels of an image have such characters, and root lists the stacks',
    shownOn: 'a script that lists what labels say',
    naive: 'printf "NAME DESCRIPTION\ntools %s\n" "$1"',
    async print(scene: HostProbeScene) {
      const machine = makeReceiver(scene);
      const { env } = machine;
      const image = await makeSteeringImage(scene);
      await runCli(['stack', 'import', 'steering', image, '--smoke', 'true'], { env });
      const { stdout } = await runCli(['stack', 'ls'], { env });
      if (!stdout.includes('steering')) throw new Error('the stack is not listed');
      return stdout + (await runCli(['stack', 'show', 'steering'], { env })).stdout;
    },
  },
  {
    name: 'steering characters in the name of a file',
    tries:
      'the name of a file that cannot be read has such characters, and the error names the file',
    shownOn: 'printf, which prints a name as it is',
    naive: 'printf "cannot read %s" "$1"',
    print: (scene: HostProbeScene) => printed(['load', `/no/such/${STEERING}`], scene),
  },
  {
    name: 'steering characters in a task’s output as JSON',
    tries: 'a task prints such characters, and root looks at the JSON of its result',
    shownOn: 'JSON.stringify, which escapes the first 32 characters alone',
    naive: `node -p 'JSON.stringify(process.argv[1])' "$1"`,
    print: (scene: HostProbeScene) =>
      printed(['run', '--json', 'busybox', 'echo', STEERING], scene),
  },
  {
    name: 'steering characters in a command and its labels',
    tries: 'a task’s command and labels have such characters, and root lists the tasks',
    shownOn: 'a script that lists command lines',
    naive: 'printf "1 %s" "$1"',
    async print(scene: HostProbeScene) {
      const args = ['--keep', '--name', 'steering', '--label', `of=${STEERING}`];
      const { env } = scene.installation;
      await runCli(['run', ...args, 'busybox', 'echo', STEERING], { env });
      scene.defer(async () => void (await runCli(['kill', 'steering'], { env })));
      const list = await printed(['ps'], scene);
      if (!list.includes('steering')) throw new Error('the task is not listed');
      return list;
    },
  },
].map(toTextProbe);

export const readFileProbes: readonly HostProbe[] = [
  ...saveProbes.map(toSaveProbe),
  replayed,
  ...keyProbes,
  passwords,
  ...textProbes,
];
