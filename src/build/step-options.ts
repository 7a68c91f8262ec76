/** How the steps of a Dockerfile are kept apart from the host: as a task is, but for the network. */
import type { BuildIds } from './build-ids.ts';
import type { BuilderHome } from './builder-home.ts';
import type { HeldHome } from './take-builder-home.ts';

/** What a build's steps run in. */
export interface StepPlace extends BuildIds {
  /** Path of the OCI runtime. */
  readonly runtime: string;
  /** The runtime's own state. */
  readonly stateRoot: string;
  readonly cgroup: string;
  readonly seccompProfile: string;
}

/** What installing packages takes: changing owners and modes, becoming another user, setting file capabilities. */
const CAPABILITIES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETFCAP',
  'SETGID',
  'SETUID',
];

/** The build's part of them, in its home. */
export function toStepPlace(
  { cgroup }: HeldHome,
  { work, seccompProfile }: BuilderHome,
  { ids, lock, runtime }: BuildIds & Pick<StepPlace, 'runtime'>,
): StepPlace {
  return { ids, lock, runtime, stateRoot: `${work}/runtime`, cgroup, seccompProfile };
}

/** Options of `buildah build`. The host's network stays: packages come from there. */
export function toStepOptions({
  ids,
  runtime,
  stateRoot,
  cgroup,
  seccompProfile,
}: StepPlace): readonly string[] {
  const map = `0:${ids.base}:${ids.size}`;
  return [
    ...['--isolation', 'oci', '--runtime', runtime, '--runtime-flag', `root=${stateRoot}`],
    ...['--cgroup-parent', cgroup, '--userns-uid-map', map, '--userns-gid-map', map],
    ...['--cap-drop', 'ALL', ...CAPABILITIES.flatMap((name) => ['--cap-add', name])],
    ...['--security-opt', `seccomp=${seccompProfile}`, '--network', 'host'],
  ];
}
