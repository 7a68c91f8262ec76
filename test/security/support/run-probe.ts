/** Runs one probe in one place and judges it. */

import type { ProbeImage } from '../../support/programs/probe-image.ts';
import type { Probe, ProbeAttempt, ProbeVerdict } from './probe.ts';
import type { PlacedContainer, ProbePlace } from './probe-place.ts';
import { ProbeScene } from './probe-scene.ts';

const BEGUN = 'begun\n';

/** Rejects if the program did not start: an attack that was not tried was not stopped. */
export async function runProbe(
  probe: Probe,
  place: ProbePlace,
  image: ProbeImage,
): Promise<ProbeVerdict> {
  const scene = new ProbeScene(place, image, probe.open ?? {});
  try {
    await probe.prepare?.(scene);
    if (probe.stranger !== undefined) await scene.watchAsStranger(probe.stranger);
    const open = place.name === 'open' ? probe.open : undefined;
    const command = (open?.command ?? probe.task?.command)?.map((word) => scene.expand(word));
    const { payload, code, device } = scene.given;
    const container = place.start({
      command: command ?? ['sh', '-c', `echo ${BEGUN}${probe.program}\nexec probe wait`],
      task: { ...probe.task, ...(device === undefined ? {} : { device }) },
      env: scene.env,
      binds: scene.binds,
      callerEnv: scene.callerEnv,
      open: probe.open ?? {},
      sceneFolder: scene.folder,
      ...(payload === undefined ? {} : { payload }),
      ...(code === undefined ? {} : { code }),
    });
    return (await judge(probe, container, { scene, place, mustBegin: command === undefined }))
      ? 'through'
      : 'held';
  } finally {
    await scene.dispose();
  }
}

interface Circumstances {
  readonly scene: ProbeScene;
  readonly place: ProbePlace;
  readonly mustBegin: boolean;
}

async function judge(
  probe: Probe,
  container: PlacedContainer,
  { scene, place, mustBegin }: Circumstances,
): Promise<boolean> {
  const { program } = container;
  let isThrough: boolean;
  let attempt: ProbeAttempt;
  try {
    await program.tried;
    if (mustBegin && !program.stdout().includes('begun'))
      throw new Error(`did not begin: ${program.stderr()}`);
    attempt = {
      place: place.name,
      stdout: program.stdout(),
      stdoutBytes: program.stdoutBytes(),
      pid: program.hasEnded() ? undefined : await container.findPid(),
      writtenTo: await container.writtenTo(),
    };
    await scene.strangerHasLooked();
    isThrough = (await probe.judge?.(attempt, scene)) ?? false;
  } finally {
    await container.stop();
  }
  return isThrough || ((await probe.judgeAfter?.(attempt, scene)) ?? false);
}
