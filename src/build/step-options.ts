/** Isolates the steps of a Dockerfile from the host as tasks are isolated, except for the network. */
import type { BuildIds } from './build-ids.ts';
import type { BuilderHome } from './builder-home.ts';
import type { HeldHome } from './take-builder-home.ts';

/** The environment of a build's steps. */
export interface StepPlace extends BuildIds {
  /** Path of the OCI runtime. */
  readonly runtime: string;
  /** The folder for the runtime's own state. */
  readonly stateRoot: string;
  readonly cgroup: string;
  readonly seccompProfile: string;
}

/** The capabilities that installing packages needs: change owners and modes, become another user, set file capabilities. */
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

/** The environment for the steps of one build; its files are in the build's home. */
export function toStepPlace(
  { cgroup }: HeldHome,
  { work, seccompProfile }: BuilderHome,
  { ids, lock, runtime }: BuildIds & Pick<StepPlace, 'runtime'>,
): StepPlace {
  return { ids, lock, runtime, stateRoot: `${work}/runtime`, cgroup, seccompProfile };
}

/** Options of `buildah build`. Steps use the host's network, because packages come from there. */
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
