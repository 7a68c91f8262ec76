/** Adds what belongs to a command to its container: code, payload, config, writable binds, its user, and its part of the configuration. */
import { toHostUser } from '../core/host-ids.ts';
import type { LayerSource, UserIds } from '../core/mount.ts';
import { joinConfig } from '../oci/build-config.ts';
import { buildBinds, PROGRESS_DIR, PROGRESS_NAME } from '../oci/build-mounts.ts';
import {
  buildProcess,
  buildTaskEnv,
  requireMappedUser,
  resolveWorkdir,
  toConfigJson,
} from '../oci/build-process.ts';
import { resolveTaskUser } from '../oci/resolve-user.ts';
import { mountRootfs } from '../rootfs/mount-rootfs.ts';
import { planAdded } from '../rootfs/plan-rootfs.ts';
import { driverOf } from '../runtime/drivers/driver-of.ts';
import type { BindOwners } from './bind-owners.ts';
import type { CommandPlace } from './inspect-command.ts';
import type { TaskPlan } from './plan-task.ts';
import {
  countBinds,
  idsOf,
  needsOwner,
  ownerOf,
  type PrepareContext,
  type PreparedContainer,
  toBind,
} from './prepare-container.ts';
import { toFileBind, writeInputs } from './task-inputs.ts';

const needsBindOwners = ({ container: { spec } }: TaskPlan) =>
  spec.mounts.some((mount) => needsOwner(spec, mount));

/** Loads the code that only some commands need. Call it before the runtime is started, because nothing is loaded while the runtime works. */
export async function loadExtras(plan: TaskPlan, code: readonly LayerSource[] | undefined) {
  const { findsCommandAtStart } = driverOf(plan.container.runtime);
  const packsCode = code === undefined && plan.command.spec.code !== undefined;
  const opensCode = code?.some(({ kind }) => kind === 'file') === true;
  return {
    code: packsCode || opensCode ? await import('./add-code.ts') : undefined,
    progress: plan.command.hasProgress ? await import('./progress/task-progress.ts') : undefined,
    owners: needsBindOwners(plan) ? await import('./bind-owners.ts') : undefined,
    inspection: findsCommandAtStart ? await import('./inspect-command.ts') : undefined,
  };
}

export type CommandExtras = Awaited<ReturnType<typeof loadExtras>>;

export interface Place extends Pick<PrepareContext, 'installation' | 'signal'> {
  readonly plan: TaskPlan;
  readonly container: PreparedContainer;
  readonly binds: BindOwners | undefined;
  readonly extras: CommandExtras;
  /** The layers of the program, if they exist already. */
  readonly code?: readonly LayerSource[] | undefined;
}

export type AddedMounts = Awaited<ReturnType<typeof addMounts>>;

/** Mounts what only the command needs: its code, payload and config, and writable binds, whose files belong to its user. */
export async function addMounts(place: Place) {
  const { plan, container, installation, binds, extras } = place;
  const { system } = installation;
  const { slot, rootfs } = container;
  const { spec, pinned, places, runtime } = plan.container;
  const ids = idsOf(plan.container, slot);
  const owned = spec.mounts.filter((mount) => needsOwner(spec, mount));
  const { files, hasProgress } = plan.command;
  await writeInputs(files, places, ids);
  const code = await codeOf(place);
  const asked = plan.command.spec.user ?? pinned.image.config.user;
  const user = resolveTaskUser(system, asked, rootfs.rootfs);
  const needsIds = owned.length > 0 || code.length > 0;
  if (ids !== null && needsIds) requireMappedUser(user, ids);
  const added = planAdded({
    taskDir: places.taskDir,
    scratchDir: places.scratchDir,
    code,
    user,
    memory: hasProgress ? { target: PROGRESS_DIR, file: PROGRESS_NAME } : undefined,
    binds: [
      ...owned.map((mount) => ({ ...toBind(mount), ownerMapped: true })),
      ...files.map((file) => toFileBind(file, places)),
    ],
    bindsBefore: countBinds(plan.container),
  });
  // Where the task's code is mounted on the host, if it has any.
  const mountedCode = code.length === 0 ? undefined : added.mounts[0]?.target;
  const parts = { ...added, user, code: mountedCode };
  if (added.mounts.length === 0) return { ...parts, closed: Promise.resolve() };
  const { closed } = await mountRootfs(system, added, {
    owner: ownerOf(plan.container, slot),
    ...(extras.code === undefined ? {} : { openFile: extras.code.openCode }),
    async mapOwner(clone, bind, source) {
      await binds?.map(clone, bind, {
        source,
        user: toHostUser(user, ids),
        ...(driverOf(runtime).servesBinds ? { server: toHostUser(ROOT, ids) } : {}),
      });
    },
  });
  return { ...parts, closed };
}

async function codeOf(place: Place): Promise<readonly LayerSource[]> {
  const { extras, plan, container } = place;
  if (place.code !== undefined) return place.code;
  const { code } = plan.command.spec;
  if (code === undefined || extras.code === undefined) return [];
  return [await extras.code.addCode(code, plan.container.places, container.disk, place)];
}

const ROOT = { uid: 0, gid: 0 };

/** The text of `config.json`, the host ids of the command's user, and the place where the command is looked up. */
export function configureCommand(
  { plan, container, installation, code }: Place,
  { user, binds }: AddedMounts,
): { readonly config: string; readonly owner: UserIds; readonly command: CommandPlace } {
  const { spec, pinned, places, template, hostname, runtime } = plan.container;
  const { spec: own, command } = plan.command;
  const { config: image } = pinned.image;
  const ids = idsOf(plan.container, container.slot);
  const hasCode = (code ?? own.code) !== undefined;
  const { home, ...ownUser } = user;
  const env = buildTaskEnv({
    imageEnv: image.env,
    env: own.env,
    id: places.id,
    hostname,
    hasCode,
    hasPayload: own.payload !== undefined,
    hasConfig: own.config !== undefined,
    hasProgress: plan.command.hasProgress,
    timeoutMs: own.limits.timeoutMs,
    memoryBytes: spec.limits.memoryBytes,
    tty: own.tty,
    home,
  });
  const cwd = resolveWorkdir(own.workdir, hasCode, image);
  const process = buildProcess({
    ...{ template, command, env, cwd, ids, host: installation.host, user: ownUser },
    spec: { ...spec, tty: own.tty, ulimits: own.ulimits },
  });
  const { locksBinds } = driverOf(runtime);
  const mounts = buildBinds(binds, { hasUserNamespace: ids !== null, locksBinds });
  return {
    config: toConfigJson(joinConfig(container.config, process, mounts)),
    owner: toHostUser(user, ids),
    command: { command, env, cwd },
  };
}
