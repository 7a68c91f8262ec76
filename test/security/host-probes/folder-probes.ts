/** Attacks of another local user on the folders that root builds stacks from. */
import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  buildNaively,
  giveToMallory,
  hideSecret,
  MALLORY,
  naiveHasLoot,
  openBuildPlace,
  openFolder,
  runAsMallory,
  runProgram,
  startAsMallory,
  verdictOf,
  writeStack,
} from '../../support/build-scene.ts';
import type { HostProbe, HostProbeScene } from '../../support/host-probe.ts';
import { runCli } from '../../support/run-cli.ts';

const group = 'folders that are built';
const shownOn = 'buildah, called on the folder as it is';
const STEALS_WORD = (secret: string) => `printf 'RUN echo ${secret} > /loot\\n'`;

interface FolderAttack extends Pick<HostProbe, 'name' | 'tries'> {
  readonly stoppedBy?: string;
  /** Lays the folder out and has the other user change it. Returns the folder, and `shared` where the Dockerfile takes it. */
  readonly lay: (scene: HostProbeScene) => { readonly folder: string; readonly shared?: string };
}

/** Root builds what the other user left; through is what brings the secret into the image. */
const toProbe = ({ lay, stoppedBy, ...texts }: FolderAttack): HostProbe => ({
  ...texts,
  group,
  stoppedBy: stoppedBy ?? 'the folder, all in it and all above it must be root’s alone',
  shownOn,
  attack: async (scene) => {
    const { folder } = lay(scene);
    const place = openBuildPlace(scene);
    await place.build(folder);
    return verdictOf(await place.hasLoot('victim'));
  },
  proof: async (scene) => {
    const { folder, shared } = lay(scene);
    await buildNaively(scene, folder, shared === undefined ? {} : { shared });
    return verdictOf(naiveHasLoot(scene));
  },
});

const laidAttacks: readonly FolderAttack[] = [
  {
    name: 'a parent that others may write to',
    tries:
      'moves another folder of root’s, whose stack holds a secret, to where a stack is built from',
    lay: (scene) => {
      const parent = join(scene.folder, 'theirs');
      writeStack(parent, 'victim', []);
      writeStack(parent, 'other', ['COPY key /loot'], { key: scene.secret });
      giveToMallory(parent);
      runAsMallory(`cd '${parent}' && mv victim gone && mv other victim`);
      return { folder: join(parent, 'victim') };
    },
  },
  {
    name: 'a Dockerfile of another user’s',
    tries: 'adds a step to a Dockerfile of theirs in a folder of root’s',
    lay: (scene) => {
      const folder = writeStack(scene.folder, 'victim', []);
      giveToMallory(`${folder}/Dockerfile`);
      runAsMallory(`${STEALS_WORD(scene.secret)} >> '${folder}/Dockerfile'`);
      return { folder };
    },
  },
  {
    name: 'a Dockerfile that a group may write',
    tries: 'adds a step to root’s Dockerfile, whose group may write to it',
    lay: (scene) => {
      const folder = writeStack(scene.folder, 'victim', []);
      chownSync(`${folder}/Dockerfile`, 0, MALLORY);
      chmodSync(`${folder}/Dockerfile`, 0o664);
      runAsMallory(`${STEALS_WORD(scene.secret)} >> '${folder}/Dockerfile'`);
      return { folder };
    },
  },
  {
    name: 'a file to copy that everybody may write',
    tries: 'changes a program that the Dockerfile copies, deep in a folder of root’s',
    lay: (scene) => {
      const folder = writeStack(scene.folder, 'victim', ['COPY files/tool /loot'], {
        'files/tool': 'tool\n',
      });
      chmodSync(`${folder}/files/tool`, 0o666);
      runAsMallory(`echo ${scene.secret} > '${folder}/files/tool'`);
      return { folder };
    },
  },
  {
    name: 'a folder in the folder',
    tries: 'puts a file of their own into a folder of theirs that the Dockerfile copies',
    lay: (scene) => {
      const folder = writeStack(scene.folder, 'victim', ['COPY files/ /']);
      mkdirSync(`${folder}/files`);
      giveToMallory(`${folder}/files`);
      runAsMallory(`echo ${scene.secret} > '${folder}/files/loot'`);
      return { folder };
    },
  },
  {
    name: 'a shared folder that is a link',
    tries: 'makes `shared`, beside a stack’s folder, a link to a folder that only root may enter',
    stoppedBy: '`shared` is no link',
    lay: (scene) => {
      const parent = openFolder(scene, 'stacks');
      const hidden = hideSecret(scene);
      const folder = writeStack(parent, 'victim', ['COPY --from=shared key /loot']);
      runAsMallory(`ln -s '${hidden}' '${parent}/shared'`);
      return { folder, shared: `${parent}/shared` };
    },
  },
  {
    name: 'a shared folder of another user’s',
    tries: 'makes `shared` first, with a file of their own under the name that stacks copy',
    lay: (scene) => {
      const parent = openFolder(scene, 'stacks');
      const folder = writeStack(parent, 'victim', ['COPY --from=shared tool /loot']);
      runAsMallory(`mkdir '${parent}/shared' && echo ${scene.secret} > '${parent}/shared/tool'`);
      return { folder, shared: `${parent}/shared` };
    },
  },
];

/** A folder in a public place that root built from and removed; somebody else made it anew. */
const recreated: HostProbe = {
  name: 'a folder that was made anew',
  group,
  tries:
    'makes a folder anew that root once built from, in a folder like /tmp, and waits for the nightly update',
  stoppedBy: 'the folder, all in it and all above it must be root’s alone',
  shownOn,
  attack: async (scene) => {
    const folder = writeStack(openFolder(scene, 'public'), 'victim', []);
    const place = openBuildPlace(scene);
    await place.build(folder);
    makeAnew(scene, folder);
    await runCli(['stack', 'update', '--all'], { env: place.env });
    return verdictOf(await place.hasLoot('victim'));
  },
  proof: async (scene) => {
    const folder = writeStack(openFolder(scene, 'public'), 'victim', []);
    makeAnew(scene, folder);
    await buildNaively(scene, folder);
    return verdictOf(naiveHasLoot(scene));
  },
};

function makeAnew({ secret }: HostProbeScene, folder: string): void {
  const kept = `${folder}.kept`;
  renameSync(folder, kept);
  chmodSync(kept, 0o755);
  runAsMallory(`cp -R '${kept}' '${folder}' && ${STEALS_WORD(secret)} >> '${folder}/Dockerfile'`);
  rmSync(kept, { recursive: true });
}

interface Swap extends Pick<HostProbe, 'name' | 'tries'> {
  readonly lines: readonly string[];
  /** Lays a harmless entry in the current folder. */
  readonly harmless: string;
  /** Puts the link in its place. */
  readonly link: (hidden: string) => string;
  /** Copies it by its path to `$1`, having seen that it is harmless. */
  readonly naiveCopy: string;
}

const TURNS = 3;

/** The other user swaps an entry of a folder of theirs for a link, again and again, while root copies. */
const toSwapProbe = ({ lines, harmless, link, naiveCopy, ...texts }: Swap): HostProbe => ({
  ...texts,
  group,
  stoppedBy: 'entries are opened without following links and checked when open; all must be root’s',
  shownOn: 'a copy by path of what was seen to be harmless',
  attack: async (scene) => {
    const hidden = hideSecret(scene);
    const folder = layTheirs(scene, lines);
    const place = openBuildPlace(scene);
    const swap = `${harmless}; rm -rf entry; ${link(hidden)}; rm -rf entry`;
    const swapping = await startAsMallory(`cd '${folder}/files'; while :; do ${swap}; done`);
    try {
      for (let turn = 0; turn < TURNS; turn += 1) {
        await place.build(folder);
        if (await place.hasLoot('victim')) return 'through';
      }
      return 'held';
    } finally {
      await swapping.stop();
    }
  },
  proof: async (scene) => {
    const hidden = hideSecret(scene);
    const files = join(layTheirs(scene, lines), 'files');
    runAsMallory(`cd '${files}'; ${harmless}`);
    // The moment between the look and the copy is made to last.
    runAsMallory(`cd '${files}'; rm -rf entry; ${link(hidden)}`);
    const copied = join(scene.folder, 'naive/pushed');
    mkdirSync(copied, { recursive: true });
    await runProgram('sh', ['-c', `cd '${files}'; ${naiveCopy}`, 'sh', join(copied, 'loot')]);
    return verdictOf(naiveHasLoot(scene));
  },
});

function layTheirs({ folder: scene }: HostProbeScene, lines: readonly string[]): string {
  const folder = writeStack(scene, 'victim', lines);
  mkdirSync(`${folder}/files`);
  writeFileSync(`${folder}/files/README`, 'theirs\n');
  giveToMallory(`${folder}/files`);
  return folder;
}

const swaps: readonly Swap[] = [
  {
    name: 'a file that becomes a link while it is copied',
    tries: 'swaps a file in a folder of theirs for a link to a file that only root may read',
    lines: ['COPY files/entry /loot'],
    harmless: 'echo harmless > entry',
    link: (hidden) => `ln -s '${hidden}/key' entry`,
    naiveCopy: 'cp entry "$1"',
  },
  {
    name: 'a folder that becomes a link while it is copied',
    tries: 'swaps a folder in a folder of theirs for a link to one that only root may enter',
    lines: ['COPY files/entry/key /loot'],
    harmless: 'mkdir entry && echo harmless > entry/key',
    link: (hidden) => `ln -s '${hidden}' entry`,
    naiveCopy: 'cp entry/key "$1"',
  },
];

export const folderProbes: readonly HostProbe[] = [
  recreated,
  ...laidAttacks.map(toProbe),
  ...swaps.map(toSwapProbe),
];
