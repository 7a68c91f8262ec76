/** Probes as tasks in a test's own installation, with the built executable. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isStackName } from '../../../src/core/ids.ts';
import { importOciLayout } from '../../../src/exchange/oci-image/import-oci-layout.ts';
import { addRevision } from '../../../src/store/stacks/change-revisions.ts';
import { flipStacks } from '../../../src/store/stacks/flip-stacks.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { runCli, STACKSHIM } from '../../support/cli/run-cli.ts';
import { writeSmallOciLayout } from '../../support/images/small-oci-layout.ts';
import type { TestInstallation } from '../../support/installation/installation.ts';
import { writePolicy } from '../../support/installation/write-policy.ts';
import type { ProbeImage } from '../../support/programs/probe-image.ts';
import { watchProgram } from '../../support/programs/watched-program.ts';
import type { ContainerSetting, PlacedContainer, ProbePlace } from './probe-place.ts';

const STACK = 'probes';
/** Exit status of a command for a task that does not exist. */
const NOT_FOUND = 3;

/** Imports the image as a stack, once for a file. */
export async function openStackshimPlace(
  installation: TestInstallation,
  image: ProbeImage,
): Promise<ProbePlace> {
  await installStack(installation, image);
  let count = 0;
  return {
    name: 'stackshim',
    folders: [installation.layout.root, installation.layout.run],
    start(setting) {
      count += 1;
      return startTask(installation, `probe-${count}`, setting);
    },
    setPolicy(policy) {
      writePolicy(installation.layout, policy ?? {});
    },
  };
}

async function installStack({ layout }: TestInstallation, image: ProbeImage): Promise<void> {
  if (!isStackName(STACK)) throw new Error(`${STACK} is not a stack name`);
  const made = mkdtempSync(`${tmpdir()}/stackshim-probes-`);
  try {
    await writeSmallOciLayout(made, { layers: [readFileSync(image.tar)] });
    const { digest } = await importOciLayout(layout, {
      system: linuxSystem,
      directory: made,
      tag: 'latest',
    });
    const now = new Date('2026-01-01T00:00:00.000Z');
    const { revision } = await addRevision(layout, linuxSystem, {
      stack: STACK,
      image: digest,
      source: { kind: 'import', reference: STACK },
      now,
    });
    const changes = new Map([[STACK, revision]]);
    await flipStacks(layout, linuxSystem, { changes, now, reason: 'probes' });
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/** Not on the command line, which every user can read. */
function writePayload(folder: string, name: string, payload: string): string {
  const file = join(folder, `payload-of-${name}`);
  writeFileSync(file, payload, { mode: 0o600 });
  return file;
}

function startTask(
  { env, layout }: TestInstallation,
  name: string,
  setting: ContainerSetting,
): PlacedContainer {
  const { task, binds, payload } = setting;
  const options = [
    ...['--name', name, '--stop-timeout', '0'],
    ...Object.entries(setting.env).flatMap(([key, value]) => ['-e', `${key}=${value}`]),
    ...binds.flatMap(({ source, target, readOnly }) => [
      '-v',
      `${source}:${target}${readOnly ? ':ro' : ''}`,
    ]),
    ...(task.tmpfs ?? []).flatMap((target) => ['--tmpfs', target]),
    ...(task.user === undefined ? [] : ['-u', String(task.user)]),
    ...(task.workdir === undefined ? [] : ['-w', task.workdir]),
    ...(task.openFiles === undefined
      ? []
      : ['--ulimit', `nofile=${task.openFiles}:${task.openFiles}`]),
    ...(task.memory === undefined ? [] : ['--memory', task.memory]),
    ...(task.fuse ? ['--bundle', 'fuse'] : []),
    ...(task.disk === undefined ? [] : ['--disk', task.disk]),
    ...(payload === undefined
      ? []
      : ['--payload-file', writePayload(setting.sceneFolder, name, payload)]),
    ...(setting.code === undefined ? [] : ['--code', setting.code]),
    ...(task.device === undefined ? [] : ['--device', `${task.device}:r`]),
    ...(task.userns === undefined ? [] : ['--userns', task.userns]),
  ];
  const argv = [
    STACKSHIM,
    'run',
    ...options,
    ...(task.terminal ? ['-t'] : []),
    STACK,
    ...setting.command,
  ];
  const program = watchProgram(argv, { env: { ...env, ...setting.callerEnv } });
  return {
    program,
    async findPid() {
      const { stdout } = await runCli(['ps', '--json'], { env });
      const found = JSON.parse(stdout).tasks.find(({ id }: { id: string }) => id === name);
      return found?.pid;
    },
    writtenTo: async () => join(layout.root, 'scratch', name),
    async stop() {
      if (!program.hasEnded()) await kill(name, env);
      await program.ended;
    },
  };
}

/** The task may have ended by itself. */
async function kill(name: string, env: TestInstallation['env']): Promise<void> {
  const { status, stderr } = await runCli(['kill', '--stop-timeout', '0', name], { env });
  if (status !== 0 && status !== NOT_FOUND) throw new Error(`kill ${name}: ${stderr}`);
}
