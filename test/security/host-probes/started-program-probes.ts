/** Host probes: files of other users that decide what root starts, and what of its caller's environment reaches a program. */
import { chownSync, copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { STACKSHIM } from '../../support/cli/run-cli.ts';
import { writeSmallOciLayout } from '../../support/images/small-oci-layout.ts';
import { makeTar } from '../../support/images/small-tar.ts';
import { replaceProgram } from '../../support/programs/replace-program.ts';
import { STRANGER_ID } from '../../support/programs/stranger.ts';
import {
  type CallProbe,
  give,
  isTold,
  put,
  putFolder,
  putLink,
  putProgram,
  rootRanIt,
  shell,
  taskCall,
  toHostProbe,
} from '../support/host-attempt.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';

const group = 'what root starts';

/** A secret that none of these policies lets a task read. */
const putSecret = (scene: HostProbeScene) =>
  put(scene, 'private/secret', scene.secret, { mode: 0o600 });

/** A policy as its writer wants it. */
const OPEN = { allow: { bindSources: ['/'] } };

type PolicyProbe = Pick<CallProbe, 'name' | 'tries' | 'shownOn'> & {
  /** Creates it; resolves to its path. */
  readonly make: (scene: HostProbeScene) => string;
};

const READ_WITH_POLICY = 'if ! grep -qs \'"bindSources":\\[\\]\' "$1"; then cat "$2"; fi';

const toPolicyProbe = ({ make, ...described }: PolicyProbe): HostProbe =>
  toHostProbe({
    ...described,
    group,
    stoppedBy:
      'a policy that is named must exist; it, links to it and all directories above must be root’s, and none writable by others',
    prepare: (scene) => void putSecret(scene),
    stackshim: (scene) =>
      taskCall(scene, ['--payload-file', join(scene.folder, 'private/secret')], {
        policy: make(scene),
        command: ['cat', '/run/stackshim/payload'],
      }),
    naive: (scene) => shell(READ_WITH_POLICY, make(scene), join(scene.folder, 'private/secret')),
    judge: isTold,
  });

const readsPolicy = 'a script that reads the policy, and without one has no rules';

const policyProbes: readonly PolicyProbe[] = [
  {
    name: 'policy that is missing',
    tries: 'runs a task while the policy that STACKSHIM_POLICY names is not there',
    shownOn: readsPolicy,
    make: ({ folder }) => join(folder, 'policies/missing.json'),
  },
  {
    name: 'policy of another user',
    tries: 'has written the policy',
    shownOn: readsPolicy,
    make: (scene) => put(scene, 'policies/policy.json', OPEN, { owner: STRANGER_ID }),
  },
  {
    name: 'policy that others may write',
    tries: 'has changed the policy, which anyone may write',
    shownOn: readsPolicy,
    make: (scene) => put(scene, 'policies/policy.json', OPEN, { mode: 0o666 }),
  },
  {
    name: 'policy in a directory of another user',
    tries: 'has replaced the policy by another file of root’s, in a directory of its own',
    shownOn: readsPolicy,
    make(scene) {
      putFolder(scene, 'theirs', { owner: STRANGER_ID });
      return put(scene, 'theirs/policy.json', OPEN);
    },
  },
  {
    name: 'policy by a link of another user',
    tries: 'has put a link to a file of root’s where the policy should be, in a sticky directory',
    shownOn: readsPolicy,
    make(scene) {
      putFolder(scene, 'shared', { mode: 0o1777 });
      const real = put(scene, 'policies/other.json', OPEN);
      return putLink(scene, 'shared/policy.json', real, STRANGER_ID);
    },
  },
  {
    name: 'policy that a link misses',
    tries: 'has removed what the policy’s link leads to',
    shownOn: readsPolicy,
    make: (scene) => putLink(scene, 'policies/policy.json', 'nowhere'),
  },
];

/** Environment of the scene's own installation, with its root and run folder. */
function ownInstallation({ folder }: HostProbeScene, root = 'lib'): Record<string, string> {
  return { STACKSHIM_ROOT: join(folder, root), STACKSHIM_RUN: join(folder, 'run') };
}

const TRUSTED =
  'root folder, run folder, runtimes and programs, links to them and all directories above must be root’s, and none writable by others';

type InstallationProbe = Pick<CallProbe, 'name' | 'tries'> & {
  readonly make: (scene: HostProbeScene) => void;
  /** The root folder, below the scene's. */
  readonly root?: string;
};

/** The installation's runtime is a program that reports who runs it: with `--version` it runs before anything else. */
const toInstallationProbe = ({ make, root = 'lib', ...described }: InstallationProbe): HostProbe =>
  toHostProbe({
    ...described,
    group,
    stoppedBy: TRUSTED,
    shownOn: 'a script that runs `ROOT/runtimes/runc`',
    prepare: (scene) => {
      putFolder(scene, 'run');
      make(scene);
    },
    // The stack is looked up before the runtime, in the installation that has it.
    stackshim: (scene) => ({
      argv: [STACKSHIM, 'doctor'],
      env: { ...scene.installation.env, ...ownInstallation(scene, root) },
    }),
    naive: ({ folder }) => shell('"$1/runtimes/runc" --version', join(folder, root)),
    judge: rootRanIt,
  });

const installationProbes: readonly InstallationProbe[] = [
  {
    name: 'runtime of another user',
    tries: 'has put a program of its own into the installation’s `runtimes/`',
    make: (scene) => void putProgram(scene, 'lib/runtimes/runc', { owner: STRANGER_ID }),
  },
  {
    name: 'runtime that others may write',
    tries: 'has changed the program in `runtimes/`, which its group may write',
    make: (scene) => void putProgram(scene, 'lib/runtimes/runc', { mode: 0o775 }),
  },
  {
    name: 'runtimes that others may replace',
    tries: 'has put a program of root’s into `runtimes/`, where anyone may write',
    make(scene) {
      putProgram(scene, 'lib/runtimes/runc');
      give(join(scene.folder, 'lib/runtimes'), { mode: 0o777 });
    },
  },
  {
    name: 'runtime by a link of another user',
    tries: 'has put a link to its program into a sticky `runtimes/`',
    make(scene) {
      putProgram(scene, 'theirs/runc', { owner: STRANGER_ID });
      putLink(scene, 'lib/runtimes/runc', '../../theirs/runc', STRANGER_ID);
    },
  },
  {
    name: 'root folder of another user',
    tries: 'owns the root folder, and has put a program of root’s there',
    make(scene) {
      putProgram(scene, 'lib/runtimes/runc');
      give(join(scene.folder, 'lib'), { owner: STRANGER_ID });
    },
  },
  {
    name: 'directory above the root folder',
    tries: 'owns a directory above the root folder, and has put another folder in its place',
    root: 'above/lib',
    make(scene) {
      putProgram(scene, 'above/lib/runtimes/runc');
      chownSync(join(scene.folder, 'above'), STRANGER_ID, STRANGER_ID);
    },
  },
  {
    name: 'root folder that was taken first',
    tries: 'has made the root folder in a sticky directory before root did',
    root: 'shared/lib',
    make(scene) {
      putFolder(scene, 'shared', { mode: 0o1777 });
      putProgram(scene, 'shared/lib/runtimes/runc', { owner: STRANGER_ID });
      for (const path of ['shared/lib/runtimes', 'shared/lib'])
        give(join(scene.folder, path), { owner: STRANGER_ID });
    },
  },
];

/** A runtime that the policy lists. */
const toListedProbe = (name: string, tries: string, spoil: (scene: HostProbeScene) => void) =>
  toHostProbe({
    name,
    group,
    tries,
    stoppedBy: TRUSTED,
    shownOn: 'a script that runs the program that the policy lists',
    prepare(scene) {
      putProgram(scene, 'listed/runtime');
      spoil(scene);
    },
    stackshim: (scene) =>
      taskCall(scene, ['--runtime', join(scene.folder, 'listed/runtime')], {
        policy: { allow: { runtimes: [join(scene.folder, 'listed/runtime')] } },
      }),
    naive: ({ folder }) => shell('"$1" --version', join(folder, 'listed/runtime')),
    judge: rootRanIt,
  });

const listedProbes = [
  toListedProbe(
    'listed runtime of another user',
    'owns a runtime that the policy lists',
    ({ folder }) => give(join(folder, 'listed/runtime'), { owner: STRANGER_ID }),
  ),
  toListedProbe(
    'listed runtime in a directory of another user',
    'owns the directory of a runtime that the policy lists',
    ({ folder }) => give(join(folder, 'listed'), { owner: STRANGER_ID }),
  ),
];

/** Tools that are found by name, in a PATH that begins with another user's folder. */
const toPathProbe = (
  tool: string,
  purpose: string,
  call: (scene: HostProbeScene) => readonly string[],
): HostProbe =>
  toHostProbe({
    name: `${tool} in PATH`,
    group,
    tries: `is first in its caller’s PATH, with a ${tool} of its own, when root ${purpose}`,
    stoppedBy: 'programs are looked for in the system’s folders alone',
    shownOn: 'a script that starts it by its name',
    prepare: (scene) => void putProgram(scene, `bin/${tool}`, { owner: STRANGER_ID }),
    stackshim: (scene) => {
      const { env = {} } = taskCall(scene, []);
      const path = `${scene.folder}/bin:${process.env['PATH']}`;
      return { argv: [STACKSHIM, ...call(scene)], env: { ...env, PATH: path } };
    },
    naive: ({ folder }) => shell(`PATH="$1:$PATH"; ${tool} --version`, `${folder}/bin`),
    judge: rootRanIt,
  });

/** Of a registry that does not exist: the first program of the import is started anyway. */
const IMPORT = ['stack', 'import', 'probed', 'docker://127.0.0.1:1/none'];

const pathProbes = [
  // A limit that no idle volume has.
  toPathProbe('mkfs.ext4', 'makes a scratch volume', () => [
    ...['run', '--disk', '77m', 'busybox', 'true'],
  ]),
  toPathProbe('prlimit', 'packs code', (scene) => [
    ...['run', '--code', putFolder(scene, 'code'), 'busybox', 'true'],
  ]),
  toPathProbe('setpriv', 'asks a registry', () => IMPORT),
];

/** Prints a tool's environment, by a program in its place. */
const toEnvironmentProbe = (
  { name, tries }: Pick<CallProbe, 'name' | 'tries'>,
  variable: string,
  value: (scene: HostProbeScene) => string,
): HostProbe =>
  toHostProbe({
    name,
    group,
    tries,
    stoppedBy:
      'programs get an environment of their own; of the caller’s a few variables, named one by one',
    shownOn: 'a script that starts skopeo as it is',
    prepare: (scene) =>
      void put(
        scene,
        'own/tool',
        `#!/bin/sh\n/usr/bin/env > ${scene.folder}/environment\nexit 1\n`,
        {
          mode: 0o755,
        },
      ),
    stackshim: (scene) => ({
      argv: [
        ...replaceProgram('/usr/bin/skopeo', `${scene.folder}/own/tool`),
        STACKSHIM,
        ...IMPORT,
      ],
      env: { ...scene.installation.env, [variable]: value(scene) },
    }),
    naive: (scene) => ({
      ...shell('"$1/own/tool"; true', scene.folder),
      env: { [variable]: value(scene) },
    }),
    judge: (scene) => readEnvironment(scene).includes(`${variable}=${value(scene)}\n`),
  });

/** What a tool wrote that tells its environment. */
export const readEnvironment = ({ folder }: HostProbeScene): string => {
  const file = join(folder, 'environment');
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
};

const environmentProbes = [
  toEnvironmentProbe(
    {
      name: 'HOME of another user',
      tries: 'has its configuration of registries read, by the HOME that root was left with',
    },
    'HOME',
    (scene) => putFolder(scene, 'home', { owner: STRANGER_ID }),
  ),
  toEnvironmentProbe(
    {
      name: 'XDG_RUNTIME_DIR of another user',
      tries: 'has its passwords of registries used, by the XDG_RUNTIME_DIR that root was left with',
    },
    'XDG_RUNTIME_DIR',
    (scene) => putFolder(scene, 'runtime', { owner: STRANGER_ID }),
  ),
  toEnvironmentProbe(
    { name: 'TMPDIR of another user', tries: 'has temporary files written to its directory' },
    'TMPDIR',
    (scene) => putFolder(scene, 'temporary', { owner: STRANGER_ID }),
  ),
  toEnvironmentProbe(
    {
      name: 'libraries of another user',
      tries: 'has its libraries loaded, by the LD_LIBRARY_PATH that root was left with',
    },
    'LD_LIBRARY_PATH',
    (scene) => putFolder(scene, 'libraries', { owner: STRANGER_ID }),
  ),
];

const MKFS = '/usr/bin/mkfs.erofs';

/** Of all programs of an import, the one whose version is stored. */
const importEnvironment = toHostProbe({
  name: 'environment of an import',
  group,
  tries: 'has a secret of the caller’s environment read by the programs that import an image',
  stoppedBy: 'programs get an environment of their own',
  shownOn: 'a script that starts mkfs.erofs as it is',
  async prepare(scene) {
    const { folder } = scene;
    copyFileSync(MKFS, put(scene, 'own/real', '', { mode: 0o755 }));
    const tell = `[ "$1" != --version ] || /usr/bin/env > ${folder}/environment`;
    put(scene, 'own/tool', `#!/bin/sh\n${tell}\nexec ${folder}/own/real "$@"\n`, { mode: 0o755 });
    await writeSmallOciLayout(putFolder(scene, 'image'), {
      layers: [await makeTar([{ path: 'file', content: scene.secret }])],
    });
  },
  stackshim: ({ folder, secret, installation }) => ({
    argv: [
      ...replaceProgram(MKFS, `${folder}/own/tool`),
      ...[STACKSHIM, 'stack', 'import', 'probed', `oci:${folder}/image`],
    ],
    env: { ...installation.env, PASSWORD: secret },
  }),
  naive: ({ folder, secret }) => ({
    ...shell('"$1/own/tool" --version', folder),
    env: { PASSWORD: secret },
  }),
  judge: (scene) => isTold(scene, readEnvironment(scene)),
});

export const startedProgramProbes: readonly HostProbe[] = [
  ...policyProbes.map(toPolicyProbe),
  ...installationProbes.map(toInstallationProbe),
  ...listedProbes,
  ...pathProbes,
  ...environmentProbes,
  importEnvironment,
];
