/** Host probes that consist of one call of a program: prepared, called, judged by its output or its effects. */
import {
  chmodSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { runCli, STACKSHIM } from '../../support/cli/run-cli.ts';
import { type WatchedProgram, watchProgram } from '../../support/programs/watched-program.ts';
import type { HostProbe, HostProbeScene } from './host-probe.ts';

export interface Call {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

type Described = Pick<HostProbe, 'name' | 'group' | 'tries' | 'stoppedBy' | 'shownOn'>;

export interface CallProbe extends Described {
  /** What both calls find. */
  readonly prepare?: (scene: HostProbeScene) => void | Promise<void>;
  readonly stackshim: (scene: HostProbeScene) => Call;
  readonly naive: (scene: HostProbeScene) => Call;
  /** Whether the attack succeeded. */
  readonly judge: (scene: HostProbeScene, said: string) => boolean;
}

/** A probe that is judged after its call has ended. */
export function toHostProbe({
  prepare,
  stackshim,
  naive,
  judge,
  ...described
}: CallProbe): HostProbe {
  const attempt = (toCall: CallProbe['naive']) => async (scene: HostProbeScene) => {
    await prepare?.(scene);
    const program = startCall(toCall(scene));
    await program.ended;
    return judge(scene, program.stdout()) ? 'through' : 'held';
  };
  return { ...described, attack: attempt(stackshim), proof: attempt(naive) };
}

export interface RunningProbe extends Described {
  readonly prepare?: (scene: HostProbeScene) => void;
  /** Options of `run`. */
  readonly options: (scene: HostProbeScene) => readonly string[];
  readonly policy: object;
  /** A shell script, in the task and in the stand-in; prints a line `tried` and waits. */
  readonly program: string;
  /** The stand-in: a shell script with the program as `$1`. It execs the program, so that its pid is the program's. */
  readonly naive: string;
  /** The host pid of the program's first process. */
  readonly judge: (pid: number) => boolean;
}

const TASK = 'probed';

/** A probe that is judged while its program runs; a program that was refused never started. */
export function toRunningProbe(probe: RunningProbe): HostProbe {
  const { prepare, options, policy, program, naive, judge, ...described } = probe;
  const judgeOf = async (running: WatchedProgram, findPid: () => Promise<number> | number) => {
    await running.tried;
    return !running.hasEnded() && judge(await findPid()) ? 'through' : 'held';
  };
  return {
    ...described,
    async attack(scene) {
      prepare?.(scene);
      const call = taskCall(scene, ['--name', TASK, ...options(scene)], {
        policy,
        command: ['sh', '-c', program],
      });
      const running = startCall(call);
      const env = call.env ?? {};
      scene.defer(async () => {
        if (!running.hasEnded()) await runCli(['kill', '--stop-timeout', '0', TASK], { env });
        await running.ended;
      });
      return await judgeOf(running, async () => {
        const { stdout } = await runCli(['ps', '--json'], { env });
        return JSON.parse(stdout).tasks.find(({ id }: { id: string }) => id === TASK).pid;
      });
    },
    async proof(scene) {
      prepare?.(scene);
      const file = join(scene.folder, 'pid');
      const script = `echo $$ > ${file}; ${naive}`;
      const running = startCall({ argv: ['/bin/sh', '-c', script, 'sh', program] });
      scene.defer(async () => {
        if (!running.hasEnded()) process.kill(Number(readFileSync(file, 'utf8')), 'SIGKILL');
        await running.ended;
      });
      return await judgeOf(running, () => Number(readFileSync(file, 'utf8')));
    },
  };
}

const startCall = ({ argv, env }: Call) => watchProgram(argv, env === undefined ? {} : { env });

/** The stand-in: a shell script of a program without the protection; `args` are `$1` and so on. */
export const shell = (script: string, ...args: readonly string[]): Call => ({
  argv: ['/bin/sh', '-c', script, 'sh', ...args],
});

export interface TaskCallOptions {
  /** By default, a policy without restrictions. */
  readonly policy?: object | string;
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** `stackshim run` in the scene's installation with the probe's own policy; a text is the path of a policy file. */
export function taskCall(
  scene: HostProbeScene,
  options: readonly string[],
  { policy = {}, command = ['true'], env }: TaskCallOptions = {},
): Call {
  const file = typeof policy === 'string' ? policy : put(scene, 'own/policy.json', policy);
  return {
    argv: [STACKSHIM, 'run', ...options, 'busybox', ...command],
    env: { ...scene.installation.env, STACKSHIM_POLICY: file, ...env },
  };
}

export interface PutOptions {
  readonly mode?: number;
  readonly owner?: number;
}

/** Writes a file of the scene, text or an object as JSON; the folders above it belong to root, with mode 0755. */
export function put(
  scene: HostProbeScene,
  name: string,
  content: string | object,
  { mode = 0o644, owner = 0 }: PutOptions = {},
): string {
  const path = join(scene.folder, name);
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return give(path, { mode, owner });
}

/** Creates a folder of the scene. */
export function putFolder(
  scene: HostProbeScene,
  name: string,
  { mode = 0o755, owner = 0 }: PutOptions = {},
): string {
  const path = join(scene.folder, name);
  mkdirSync(path, { recursive: true });
  return give(path, { mode, owner });
}

export function putLink(scene: HostProbeScene, name: string, target: string, owner = 0): string {
  const path = join(scene.folder, name);
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(target, path);
  lchownSync(path, owner, owner);
  return path;
}

/** Changes the owner of a file or folder. */
export function give(path: string, { mode, owner = 0 }: PutOptions): string {
  lchownSync(path, owner, owner);
  if (mode !== undefined) chmodSync(path, mode);
  return path;
}

/** A program that reports its user when it runs. */
export const putProgram = (scene: HostProbeScene, name: string, options: PutOptions = {}) =>
  put(scene, name, `#!/bin/sh\nid -u >> ${markOf(scene)}\n`, { mode: 0o755, ...options });

/** Whether root has run it. */
export const rootRanIt = (scene: HostProbeScene) =>
  existsSync(markOf(scene)) && readFileSync(markOf(scene), 'utf8').includes('0');

const markOf = ({ folder }: HostProbeScene) => join(folder, 'mark');

/** Whether the secret was printed. */
export const isTold = ({ secret }: HostProbeScene, said: string) => said.includes(secret);
