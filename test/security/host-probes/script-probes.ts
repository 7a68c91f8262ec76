/** Host probes on the scripts of this repository, which root runs to set up, build and test: variables of their caller's shell. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { replaceProgram } from '../../support/programs/replace-program.ts';
import { STRANGER_ID } from '../../support/programs/stranger.ts';
import { put, putProgram, rootRanIt, shell, toHostProbe } from '../support/host-attempt.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import { toVerdict } from '../support/probe.ts';
import { makeProgram, runEngine } from './engine-probes.ts';
import { readEnvironment } from './started-program-probes.ts';

const group = 'what root starts';

const project = fileURLToPath(new URL('../../../', import.meta.url));

/** What `npm test` starts for a lane that does not exist, and the same without the protection. */
const scriptCommand = (): string =>
  `${JSON.parse(readFileSync(`${project}package.json`, 'utf8')).scripts.test} no-such-lane`;
const NAIVE_SCRIPT = 'node scripts/test.mjs no-such-lane';

interface ScriptProbe extends Pick<HostProbe, 'name' | 'tries'> {
  /** The variables; the program leaves a mark. */
  readonly lay: (scene: HostProbeScene, program: string) => Readonly<Record<string, string>>;
}

const toScriptProbe = ({ lay, ...described }: ScriptProbe): HostProbe => {
  const attempt = (toCommand: () => string) => async (scene: HostProbeScene) => {
    const { program, sprung } = makeProgram(scene);
    const env = lay(scene, program);
    await runEngine('/bin/sh', { env, args: ['-c', toCommand()], cwd: project, sprung });
    return toVerdict(sprung());
  };
  return {
    ...described,
    group,
    stoppedBy: 'scripts start by `scripts/node.sh`, which removes the variables before Node runs',
    shownOn: 'the same script, started by `node` as it is',
    attack: attempt(scriptCommand),
    proof: attempt(() => NAIVE_SCRIPT),
  };
};

const startProbes = [
  toScriptProbe({
    name: 'a program loaded before a script of the repository',
    tries: 'NODE_OPTIONS has Node load a file before the script that root starts',
    lay: (_, program) => ({ NODE_OPTIONS: `--require ${program}` }),
  }),
  toScriptProbe({
    name: 'a program loaded as settings of OpenSSL',
    tries: 'OPENSSL_CONF has Node load a library before the script that root starts',
    lay(scene) {
      const library = makeLibrary(scene);
      const settings = [
        'nodejs_conf = init',
        '[init]\nengines = engines',
        '[engines]\nprobe = probe',
        `[probe]\nengine_id = probe\ndynamic_path = ${library}\ninit = 0\n`,
      ];
      writeFileSync(`${scene.folder}/openssl.cnf`, settings.join('\n'));
      return { OPENSSL_CONF: `${scene.folder}/openssl.cnf` };
    },
  }),
];

/** A library that leaves the mark of {@link makeProgram} when it is loaded. */
function makeLibrary({ folder }: HostProbeScene): string {
  const source = `#include <fcntl.h>
    __attribute__((constructor)) static void leave_mark(void) { (void)!creat("${folder}/mark", 0644); }`;
  writeFileSync(`${folder}/library.c`, source);
  execFileSync('gcc', ['-shared', '-fPIC', '-o', `${folder}/library.so`, `${folder}/library.c`]);
  return `${folder}/library.so`;
}

/** The set-up's step that installs Debian packages, as a program. Here apt-get is one that tells and fails. */
const INSTALL = [
  `const { ensureHostPackages } = await import(process.argv[1]);`,
  `await ensureHostPackages([{ program: 'no-such-program', package: 'no-such-package' }]).catch(() => undefined);`,
].join('\n');
const HOST_PACKAGES = new URL('../../../scripts/steps/host-packages.mjs', import.meta.url).href;
const APT = '/usr/bin/apt-get';

const installPackages = ({ folder }: HostProbeScene, env: Readonly<Record<string, string>>) => ({
  argv: [
    ...replaceProgram(APT, `${folder}/own/tool`),
    ...[process.execPath, '--input-type=module', '-e', INSTALL, HOST_PACKAGES],
  ],
  env,
});

const setUpProbes = [
  toHostProbe({
    name: 'apt-get in PATH',
    group,
    tries: 'is first in its caller’s PATH, with an apt-get of its own, when root runs the set-up',
    stoppedBy: 'scripts look for programs in the system’s folders and beside Node alone',
    shownOn: 'a script that starts it by its name',
    prepare(scene) {
      putProgram(scene, 'bin/apt-get', { owner: STRANGER_ID });
      put(scene, 'own/tool', '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    },
    stackshim: (scene) =>
      installPackages(scene, { PATH: `${scene.folder}/bin:${process.env['PATH']}` }),
    naive: ({ folder }) => shell('PATH="$1:$PATH"; apt-get --version', `${folder}/bin`),
    judge: rootRanIt,
  }),
  toHostProbe({
    name: 'settings of apt-get of another user',
    group,
    tries:
      'has its settings read by the set-up’s apt-get, by the APT_CONFIG that root was left with',
    stoppedBy: 'programs of scripts get few variables of the caller’s, named one by one',
    shownOn: 'a script that starts apt-get as it is',
    prepare(scene) {
      const tell = `#!/bin/sh\n/usr/bin/env > ${scene.folder}/environment\nexit 1\n`;
      put(scene, 'own/tool', tell, { mode: 0o755 });
    },
    stackshim: (scene) =>
      installPackages(scene, { APT_CONFIG: `${scene.folder}/apt.conf`, PATH: '/usr/bin:/bin' }),
    naive: ({ folder }) => ({
      ...shell('"$1/own/tool"; true', folder),
      env: { APT_CONFIG: `${folder}/apt.conf` },
    }),
    judge: (scene) => readEnvironment(scene).includes('APT_CONFIG='),
  }),
];

export const scriptProbes: readonly HostProbe[] = [...startProbes, ...setUpProbes];
