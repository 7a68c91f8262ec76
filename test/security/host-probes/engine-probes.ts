/** Programs that root starts: variables and files that make their engine run other code. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { isAlive, type ProcessIdentity, readProcess } from '../../../src/sys/processes.ts';
import { reapTasks } from '../../../src/task/abandoned/reap.ts';
import { openInstallation } from '../../../src/task/installation.ts';
import { STACKSHIM } from '../../support/cli/run-cli.ts';
import { BUN, waitForLine } from '../../support/programs/bun-fixture.ts';
import { waitUntil } from '../../support/timing/wait-until.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import { toVerdict } from '../support/probe.ts';

const group = 'what root starts';

interface EngineTrap {
  readonly env: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly cwd?: string;
  sprung(said: string): boolean;
}

interface EngineProbe extends Pick<HostProbe, 'name' | 'tries' | 'stoppedBy'> {
  readonly lay: (scene: HostProbeScene) => EngineTrap | Promise<EngineTrap>;
}

const RENAMED = 'variables of the engine are renamed by the first instructions of the executable';
const SHOWN_ON = 'an executable as bun build --compile makes it';

/** A program that leaves a mark when an engine runs it. */
export function makeProgram({ folder }: HostProbeScene) {
  const [program, mark] = [`${folder}/program.js`, `${folder}/mark`];
  writeFileSync(program, `require("node:fs").writeFileSync(${JSON.stringify(mark)}, "")\n`);
  return { program, sprung: () => existsSync(mark) };
}

const probes: readonly EngineProbe[] = [
  {
    name: 'the executable as an interpreter',
    tries: 'BUN_BE_BUN has the executable run a program that is named on its command line',
    stoppedBy: RENAMED,
    lay(scene) {
      const { program, sprung } = makeProgram(scene);
      return { env: { BUN_BE_BUN: '1' }, args: [program], sprung };
    },
  },
  {
    name: 'a program loaded before the executable’s own',
    tries: 'BUN_OPTIONS has a file loaded first',
    stoppedBy: RENAMED,
    lay(scene) {
      const { program, sprung } = makeProgram(scene);
      return { env: { BUN_OPTIONS: `--preload ${program}` }, sprung };
    },
  },
  {
    name: 'functions of the executable replaced',
    tries: 'BUN_JSC_functionOverrides names a file with other bodies for its functions',
    stoppedBy: RENAMED,
    lay({ folder }) {
      // The engine reports an error in the file as soon as it reads the file.
      writeFileSync(`${folder}/overrides`, 'override\n');
      return {
        env: { BUN_JSC_functionOverrides: `${folder}/overrides` },
        sprung: (said) => said.includes('functionOverrides'),
      };
    },
  },
  {
    name: 'a debugger in the executable',
    tries: 'BUN_INSPECT has the executable open a debugger, which runs whatever it is sent',
    stoppedBy: RENAMED,
    async lay(scene) {
      const socket = `${scene.folder}/notify`;
      let connections = 0;
      const server = createServer((connection) => {
        connections += 1;
        connection.destroy();
      });
      server.listen(socket);
      await once(server, 'listening');
      scene.defer(() => void server.close());
      return {
        env: { BUN_INSPECT: `unix://${socket}`, BUN_INSPECT_NOTIFY: `unix://${socket}` },
        args: ['stack', 'ls'],
        sprung: () => connections > 0,
      };
    },
  },
  {
    name: 'settings of the engine in the current directory',
    tries: 'bunfig.toml in the directory where root calls the executable has a file loaded first',
    stoppedBy: 'the executable is built to read no settings of its engine',
    lay(scene) {
      const { program, sprung } = makeProgram(scene);
      writeFileSync(`${scene.folder}/bunfig.toml`, `preload = [${JSON.stringify(program)}]\n`);
      return { env: {}, cwd: scene.folder, sprung };
    },
  },
  {
    name: 'variables of the executable in the current directory',
    tries: '.env in the directory where root calls the executable names another root folder',
    stoppedBy: 'the executable is built to read no such file',
    lay(scene) {
      // An unreadable file is named in an error.
      const root = `${scene.folder}/${scene.secret}`;
      mkdirSync(`${root}/generations`, { recursive: true });
      writeFileSync(`${root}/generations/1.json`, 'nonsense');
      symlinkSync('generations/1.json', `${root}/current`);
      writeFileSync(`${scene.folder}/.env`, `STACKSHIM_ROOT=${root}\n`);
      return {
        env: { STACKSHIM_RUN: `${scene.folder}/run` },
        args: ['stack', 'ls'],
        cwd: scene.folder,
        sprung: (said) => said.includes(scene.secret),
      };
    },
  },
];

/** The executable without the protection. */
function makeNaive({ folder }: HostProbeScene): string {
  const work = `${folder}/naive`;
  mkdirSync(work);
  const lines = ['console.log(process.env.STACKSHIM_ROOT);', 'setTimeout(() => undefined, 500);'];
  writeFileSync(`${work}/main.js`, lines.join('\n'));
  execFileSync(BUN, ['build', '--compile', 'main.js', '--outfile', 'naive'], {
    cwd: work,
    stdio: 'ignore',
  });
  return `${work}/naive`;
}

/** Runs a program with the trap's environment alone; resolves with its output. */
export async function runEngine(program: string, trap: EngineTrap): Promise<string> {
  const { env, args = ['--version'], cwd = '/' } = trap;
  // Nothing of this process's environment: a variable that is set is not read from a file.
  const options = { env: { PATH: process.env['PATH'] ?? '', ...env }, cwd };
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => said.push(text));
  }
  await once(child, 'close');
  return said.join('');
}

const toEngineProbe = ({ lay, ...said }: EngineProbe): HostProbe => ({
  ...said,
  group,
  shownOn: SHOWN_ON,
  async attack(scene) {
    const trap = await lay(scene);
    const { env } = trap.args === undefined ? scene.installation : trap;
    return toVerdict(
      trap.sprung(await runEngine(STACKSHIM, { ...trap, env: { ...env, ...trap.env } })),
    );
  },
  async proof(scene) {
    const trap = await lay(scene);
    return toVerdict(trap.sprung(await runEngine(makeNaive(scene), trap)));
  },
});

const OWNER = fileURLToPath(new URL('../../fixtures/run-guarded.mjs', import.meta.url));

/** Starts a child of a process whose caller sets Node's compile cache; returns whether the child would load code from it. */
async function startChild(
  scene: HostProbeScene,
  args: readonly string[],
): Promise<{ readonly takesCode: boolean }> {
  const owner = spawn(process.execPath, args, {
    env: {
      ...process.env,
      ...scene.installation.env,
      NODE_COMPILE_CACHE: `${scene.folder}/compiled`,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let child: ProcessIdentity | undefined;
  scene.defer(async () => {
    owner.kill('SIGKILL');
    if (owner.exitCode === null && owner.signalCode === null) await once(owner, 'exit');
    await waitUntil(() => child === undefined || !isAlive(child));
    await reapTasks(openInstallation(scene.installation.layout));
  });
  const pid = Number(/\d+/.exec(await waitForLine(owner, ' '))?.[0]);
  child = readProcess(pid);
  if (child === undefined) throw new Error(`no process ${pid}`);
  return { takesCode: readFileSync(`/proc/${pid}/environ`, 'utf8').includes('NODE_COMPILE_CACHE') };
}

const guard: HostProbe = {
  name: 'variables of Node for the guard',
  group,
  tries:
    'a variable of a worker names a folder from which the guard of root would take compiled code',
  stoppedBy: 'the guard is started with an environment of its own',
  shownOn: 'a Node program that starts another one as usual',
  attack: async (scene) => toVerdict((await startChild(scene, [OWNER, '1'])).takesCode),
  async proof(scene) {
    const program = `
      const child = require("node:child_process").spawn(process.execPath, ["-e", "process.stdin.resume()"]);
      console.log("child " + child.pid);
      process.stdin.resume();
      setInterval(() => undefined, 1000);`;
    return toVerdict((await startChild(scene, ['-e', program])).takesCode);
  },
};

export const engineProbes: readonly HostProbe[] = [...probes.map(toEngineProbe), guard];
