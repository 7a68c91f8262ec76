/** Attacks of another local user on the folders from which root builds stacks. */
import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runCli } from '../../support/cli/run-cli.ts';
import { STRANGER_ID } from '../../support/programs/stranger.ts';
import {
  buildNaively,
  giveToStranger,
  hideSecret,
  naiveHasLoot,
  openBuildPlace,
  openFolder,
  runAsStranger,
  runProgram,
  startAsStranger,
  writeStack,
} from '../support/build-scene.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import { toVerdict } from '../support/probe.ts';

const group = 'folders that are built';
const shownOn = 'buildah, called on the folder as it is';
const STEALS_WORD = (secret: string) => `printf 'RUN echo ${secret} > /loot\\n'`;

interface FolderAttack extends Pick<HostProbe, 'name' | 'tries'> {
  readonly stoppedBy?: string;
  /** Writes the folder and lets the other user change it. Returns the folder, and `shared` if the Dockerfile uses it. */
  readonly lay: (scene: HostProbeScene) => { readonly folder: string; readonly shared?: string };
}

/** Root builds what the other user left; the attack succeeds if the secret is in the image. */
const toProbe = ({ lay, stoppedBy, ...texts }: FolderAttack): HostProbe => ({
  ...texts,
  group,
  stoppedBy: stoppedBy ?? 'the folder, all in it and all above it must be root’s alone',
  shownOn,
  attack: async (scene) => {
    const { folder } = lay(scene);
    const place = openBuildPlace(scene);
    await place.build(folder);
    return toVerdict(await place.hasLoot('victim'));
  },
  proof: async (scene) => {
    const { folder, shared } = lay(scene);
    await buildNaively(scene, folder, shared === undefined ? {} : { shared });
    return toVerdict(naiveHasLoot(scene));
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
      giveToStranger(parent);
      runAsStranger(`cd '${parent}' && mv victim gone && mv other victim`);
      return { folder: join(parent, 'victim') };
    },
  },
  {
    name: 'a Dockerfile of another user’s',
    tries: 'adds a step to a Dockerfile of theirs in a folder of root’s',
    lay: (scene) => {
      const folder = writeStack(scene.folder, 'victim', []);
      giveToStranger(`${folder}/Dockerfile`);
      runAsStranger(`${STEALS_WORD(scene.secret)} >> '${folder}/Dockerfile'`);
      return { folder };
    },
  },
  {
    name: 'a Dockerfile that a group may write',
    tries: 'adds a step to root’s Dockerfile, whose group may write to it',
    lay: (scene) => {
      const folder = writeStack(scene.folder, 'victim', []);
      chownSync(`${folder}/Dockerfile`, 0, STRANGER_ID);
      chmodSync(`${folder}/Dockerfile`, 0o664);
      runAsStranger(`${STEALS_WORD(scene.secret)} >> '${folder}/Dockerfile'`);
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
      runAsStranger(`echo ${scene.secret} > '${folder}/files/tool'`);
      return { folder };
    },
  },
  {
    name: 'a folder in the folder',
    tries: 'puts a file of their own into a folder of theirs that the Dockerfile copies',
    lay: (scene) => {
      const folder = writeStack(scene.folder, 'victim', ['COPY files/ /']);
      mkdirSync(`${folder}/files`);
      giveToStranger(`${folder}/files`);
      runAsStranger(`echo ${scene.secret} > '${folder}/files/loot'`);
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
      runAsStranger(`ln -s '${hidden}' '${parent}/shared'`);
      return { folder, shared: `${parent}/shared` };
    },
  },
  {
    name: 'a shared folder of another user’s',
    tries: 'makes `shared` first, with a file of their own under the name that stacks copy',
    lay: (scene) => {
      const parent = openFolder(scene, 'stacks');
      const folder = writeStack(parent, 'victim', ['COPY --from=shared tool /loot']);
      runAsStranger(`mkdir '${parent}/shared' && echo ${scene.secret} > '${parent}/shared/tool'`);
      return { folder, shared: `${parent}/shared` };
    },
  },
];

/** A folder in a public place that root built from and removed; another user created it again. */
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
    return toVerdict(await place.hasLoot('victim'));
  },
  proof: async (scene) => {
    const folder = writeStack(openFolder(scene, 'public'), 'victim', []);
    makeAnew(scene, folder);
    await buildNaively(scene, folder);
    return toVerdict(naiveHasLoot(scene));
  },
};

function makeAnew({ secret }: HostProbeScene, folder: string): void {
  const kept = `${folder}.kept`;
  renameSync(folder, kept);
  chmodSync(kept, 0o755);
  runAsStranger(`cp -R '${kept}' '${folder}' && ${STEALS_WORD(secret)} >> '${folder}/Dockerfile'`);
  rmSync(kept, { recursive: true });
}

interface Swap extends Pick<HostProbe, 'name' | 'tries'> {
  /** A Node program that writes the harmless `entry`, then swaps it with a link to `hidden`; its folder is `stage`. */
  readonly lay: string;
  readonly swap: string;
  /** The path below the entry that the Dockerfile and the naive copy take. */
  readonly taken: string;
}

const TURNS = 4;
/** One of so many entries is swapped at the right time. */
const ENTRIES = 150;

const swapper = (hidden: string, { files, stage }: Theirs, { lay, swap }: Swap) => `
  const { mkdirSync, renameSync: move, symlinkSync, writeFileSync } = require('node:fs');
  const [hidden, stage] = ['${hidden}', '${stage}'];
  const entries = Array.from({ length: ${ENTRIES} }, (_, index) => '${files}/' + index);
  for (const entry of entries) { ${lay} }
  console.log('laid');
  for (;;) for (const entry of entries) { ${swap} }`;

/** The other user repeatedly swaps entries of a folder for links while root copies. */
const toSwapProbe = (swap: Swap): HostProbe => ({
  name: swap.name,
  tries: swap.tries,
  group,
  stoppedBy: 'entries are opened without following links and checked when open; all must be root’s',
  shownOn: 'a copy by path of what was seen to be harmless',
  attack: async (scene) => {
    const hidden = hideSecret(scene);
    const theirs = layTheirs(scene, swap.taken);
    const place = openBuildPlace(scene);
    const program = swapper(hidden, theirs, swap);
    const swapping = await startAsStranger(`exec '${process.execPath}' -e "${program}"`, 'laid');
    try {
      for (let turn = 0; turn < TURNS; turn += 1) {
        await place.build(theirs.folder);
        if (await place.hasLoot('victim')) return 'through';
      }
      return 'held';
    } finally {
      await swapping.stop();
    }
  },
  proof: async (scene) => {
    const hidden = hideSecret(scene);
    const { files, stage } = layTheirs(scene, swap.taken);
    const one = `const { mkdirSync, renameSync: move, symlinkSync, writeFileSync } = require('node:fs');
      const [hidden, stage, entry] = ['${hidden}', '${stage}', '${files}/0'];`;
    // The time between check and copy is made longer.
    runAsStranger(`'${process.execPath}' -e "${one} ${swap.lay}"`);
    runAsStranger(
      `cd '${files}' && rm -rf 0 && ln -s '${hidden}${swap.taken === '' ? '/key' : ''}' 0`,
    );
    const copied = join(scene.folder, 'copied');
    await runProgram('cp', [`${files}/0${swap.taken}`, copied]);
    return toVerdict(readFileSync(copied, 'utf8').includes(scene.secret));
  },
});

interface Theirs {
  readonly folder: string;
  readonly files: string;
  readonly stage: string;
}

function layTheirs({ folder: scene }: HostProbeScene, taken: string): Theirs {
  const folder = writeStack(scene, 'victim', [
    'COPY files /files',
    `RUN cat /files/*${taken} > /loot || true`,
  ]);
  const [files, stage] = [join(folder, 'files'), join(scene, 'stage')];
  for (const path of [files, stage]) mkdirSync(path);
  giveToStranger(files, stage);
  return { folder, files, stage };
}

const swaps: readonly Swap[] = [
  {
    name: 'a file that becomes a link while it is copied',
    tries: 'swaps files in a folder of theirs for links to a file that only root may read',
    taken: '',
    lay: "writeFileSync(entry, 'harmless');",
    swap: "symlinkSync(hidden + '/key', stage + '/next'); move(stage + '/next', entry); writeFileSync(stage + '/next', 'harmless'); move(stage + '/next', entry);",
  },
  {
    name: 'a folder that becomes a link while it is copied',
    tries: 'swaps folders in a folder of theirs for links to one that only root may enter',
    taken: '/key',
    lay: "mkdirSync(entry); writeFileSync(entry + '/key', 'harmless');",
    swap: "move(entry, stage + '/away'); symlinkSync(hidden, entry); move(entry, stage + '/link'); move(stage + '/away', entry); require('node:fs').unlinkSync(stage + '/link');",
  },
];

export const folderProbes: readonly HostProbe[] = [
  recreated,
  ...laidAttacks.map(toProbe),
  ...swaps.map(toSwapProbe),
];
