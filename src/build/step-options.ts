/** Isolates the steps of a Dockerfile from the host as tasks are isolated, except for the network. */
import type { BuildIds } from './build-ids.ts';
import type { BuilderHome } from './builder-home.ts';

/** The environment of a build's steps. */
export interface StepPlace extends BuildIds {
  /** Path of the OCI runtime. */
  readonly runtime: string;
  readonly cgroup: string;
}

/** The capabilities for installing packages: change owners and modes, become another user, set file capabilities. */
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

/** Returns options of `buildah build`. Steps use the host's network, because they install packages from there. */
export function toStepOptions(
  { ids, runtime, cgroup }: StepPlace,
  { work, seccompProfile }: BuilderHome,
): readonly string[] {
  const map = `0:${ids.base}:${ids.size}`;
  return [
    ...['--isolation', 'oci', '--runtime', runtime, '--runtime-flag', `root=${work}/runtime`],
    ...['--cgroup-parent', cgroup, '--userns-uid-map', map, '--userns-gid-map', map],
    ...['--cap-drop', 'ALL', ...CAPABILITIES.flatMap((name) => ['--cap-add', name])],
    ...['--security-opt', `seccomp=${seccompProfile}`, '--network', 'host'],
  ];
}
