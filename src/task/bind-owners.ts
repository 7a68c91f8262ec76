/**
 * Owners of what tasks write into binds. A writable bind is an idmapped mount: the owner of its source is seen as the user of the
 * task's command, and what that user makes there belongs to the owner, whatever slot the task has.
 */
import { closeSync } from 'node:fs';
import { errnoCodeOf, StackshimError } from '../core/errors.ts';
import { FILE_SERVER_ID, INVALID_ID, isReservedId, RESERVED_IDS } from '../core/host-ids.ts';
import type { BindMount, IdMap, IdMaps } from '../core/mount.ts';
import type { Fd, System } from '../sys/system.ts';
import { type HeldUserNamespace, holdUserNamespace } from '../sys/user-namespace.ts';

/** A user of the host with its group. */
export interface HostOwner {
  readonly uid: number;
  readonly gid: number;
}

export interface BindMapping {
  /** Who has the source, by the descriptor that is mounted. */
  readonly source: HostOwner;
  /** Host ids of the user that the task's command runs as. */
  readonly user: HostOwner;
  /** Host ids of the file server that makes files for that user, where the runtime has one. */
  readonly server?: HostOwner;
}

/** What mount_setattr(2) says of a filesystem without idmapped mounts, and of a mount that is idmapped already. */
const NOT_MAPPABLE = new Set(['EINVAL', 'EPERM', 'EOPNOTSUPP']);

/** User namespaces for the binds of one task. The first is begun at once, so that it is there when the slot is. */
export class BindOwners {
  readonly #system: System;
  readonly #fallback: number;
  readonly #open: Fd[] = [];
  readonly #begun = new Set<Promise<HeldUserNamespace>>();
  readonly #known = new Map<string, Fd>();
  #next: Promise<HeldUserNamespace> | undefined;

  /** @param fallback The owner of files in a bind whose source is root's. */
  constructor(system: System, fallback: number) {
    this.#system = system;
    this.#fallback = fallback;
    this.#next = this.#begin();
  }

  /** Maps the detached mount of a bind, with all that is mounted below. Rejects with ERR_STACKSHIM_SPEC_INVALID where that cannot be. */
  async map(clone: Fd, { source: path }: BindMount, mapping: BindMapping): Promise<void> {
    const owner = ownerOfWritten(path, mapping.source, this.#fallback);
    const namespace = await this.#namespaceFor(owner, mapping);
    try {
      this.#system.idmapMount(clone, namespace, { recursive: true });
    } catch (error) {
      if (!NOT_MAPPABLE.has(errnoCodeOf(error) ?? '')) throw error;
      const problem = 'owners cannot be mapped there, or in what is mounted below';
      const hint =
        'bind it read-only (:ro), or a directory of a filesystem with idmapped mounts, such as ext4, XFS or Btrfs';
      throw refused(path, problem, { hint, cause: error });
    }
  }

  /** Resolves when nothing is left but the mounts. */
  async close(): Promise<void> {
    const held = await Promise.allSettled(this.#begun);
    const releases = held.flatMap((one) => (one.status === 'fulfilled' ? one.value.release() : []));
    for (const fd of this.#open.splice(0)) closeSync(fd);
    await Promise.all(releases);
  }

  #begin(): Promise<HeldUserNamespace> {
    const begun = holdUserNamespace(this.#system);
    // Handles a rejection too: whoever awaits the promise gets it.
    begun.catch(() => undefined);
    this.#begun.add(begun);
    return begun;
  }

  async #namespaceFor(owner: HostOwner, mapping: BindMapping): Promise<Fd> {
    const key = `${owner.uid}:${owner.gid}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const begun = this.#next ?? this.#begin();
    this.#next = undefined;
    const made = (await begun).map(toMaps(owner, mapping));
    this.#open.push(made);
    this.#known.set(key, made);
    return made;
  }
}

const toMaps = (owner: HostOwner, { user, server = user }: BindMapping): IdMaps => ({
  uids: toOwnerMap(owner.uid, user.uid, server.uid),
  gids: toOwnerMap(owner.gid, user.gid, server.gid),
});

/**
 * `owner` is seen as `user`, every other id of the host as itself, which is nobody's in the task: the kernel lets no one write into
 * a directory whose owner is not mapped, be it open to everybody. Ids of slots are left out, so that nothing can be made for them. Pure.
 */
export function toOwnerMap(owner: number, user: number, server = user): readonly IdMap[] {
  const skipped = [...RESERVED_IDS, [owner, owner + 1] as const].sort(([a], [b]) => a - b);
  const maps: IdMap[] = [{ from: owner, to: user, size: 1 }];
  if (server !== user) maps.push({ from: FILE_SERVER_ID, to: server, size: 1 });
  let from = 0;
  for (const [first, end] of [...skipped, [INVALID_ID, INVALID_ID] as const]) {
    if (first > from) maps.push({ from, to: from, size: first - from });
    from = end;
  }
  return maps;
}

/**
 * The owner on disk of what a task writes there: the source's owner, but never root, nor root's group. Throws ERR_STACKSHIM_SPEC_INVALID where the owner
 * is an id that stackshim gives to tasks: a setuid file would then be a way into another task. Pure.
 */
export function ownerOfWritten(path: string, source: HostOwner, fallback: number): HostOwner {
  const { uid, gid } = source;
  if (uid === 0) return { uid: fallback, gid: fallback };
  if (isReservedId(uid) || isReservedId(gid)) {
    const hint = `give the source to another user (chown -R ${fallback}:${fallback}), or bind it read-only (:ro)`;
    throw refused(
      path,
      `the source belongs to ${uid}:${gid}, an id that stackshim gives to tasks`,
      { hint },
    );
  }
  return { uid, gid: gid === 0 ? fallback : gid };
}

function refused(
  path: string,
  problem: string,
  more: { readonly hint: string; readonly cause?: unknown },
): StackshimError {
  return new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `mounts ${path}: ${problem}`, {
    details: { field: 'mounts', value: path },
    ...more,
  });
}
