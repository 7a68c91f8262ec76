/**
 * Decides who owns the files that tasks write into binds. A writable bind is an idmapped mount: in the task, the owner of its source appears
 * as the command's user. Files that this user creates belong to the source's owner, whatever slot the task has.
 */
import { closeSync } from 'node:fs';
import { errnoCodeOf, StackshimError } from '../core/errors.ts';
import { FILE_SERVER_ID, INVALID_ID, isReservedId, RESERVED_IDS } from '../core/host-ids.ts';
import type { BindMount, IdMap, UserIds } from '../core/mount.ts';
import type { Fd, System } from '../sys/system.ts';
import { type HeldUserNamespace, holdUserNamespace } from '../sys/user-namespace.ts';

export interface BindMapping {
  /** The owner of the mounted source, read from its descriptor. */
  readonly source: UserIds;
  /** Host ids of the user that runs the task's command. */
  readonly user: UserIds;
  /** Host ids of the runtime's file server, which creates files for that user, if the runtime has one. */
  readonly server?: UserIds;
}

/** The errors of mount_setattr(2) for a filesystem without idmapped mounts, and for a mount that is already idmapped. */
const NOT_MAPPABLE = new Set(['EINVAL', 'EPERM', 'EOPNOTSUPP']);

/** User namespaces for the binds of one task. The first one is started at once, so that it is ready together with the slot. */
export class BindOwners {
  readonly #system: System;
  readonly #fallback: number;
  readonly #begun = new Set<Promise<HeldUserNamespace>>();
  readonly #known = new Map<string, Fd>();
  #next: Promise<HeldUserNamespace> | undefined;

  /** @param fallback The owner of files in a bind whose source belongs to root. */
  constructor(system: System, fallback: number) {
    this.#system = system;
    this.#fallback = fallback;
    this.#next = this.#begin();
  }

  /** Maps the ids of a bind's detached mount and of all mounts below it. Rejects with ERR_STACKSHIM_SPEC_INVALID if they cannot be mapped. */
  async map(clone: Fd, { source: path }: BindMount, mapping: BindMapping): Promise<void> {
    const owner = ownerOfWritten(path, mapping.source, this.#fallback);
    const namespace = await this.#namespaceFor(owner, mapping);
    try {
      this.#system.idmapMount(clone, namespace, { recursive: true });
    } catch (error) {
      if (!NOT_MAPPABLE.has(errnoCodeOf(error) ?? '')) throw error;
      const problem = 'its filesystem, or one mounted below it, does not support idmapped mounts';
      const hint =
        'bind it read-only (:ro), or a directory of a filesystem with idmapped mounts, such as ext4, XFS or Btrfs';
      throw refused(path, problem, { hint, cause: error });
    }
  }

  /** Closes all namespaces. Resolves when only the mounts are left. */
  async close(): Promise<void> {
    const held = await Promise.allSettled(this.#begun);
    const releases = held.flatMap((one) => (one.status === 'fulfilled' ? one.value.release() : []));
    for (const fd of this.#known.values()) closeSync(fd);
    this.#known.clear();
    await Promise.all(releases);
  }

  #begin(): Promise<HeldUserNamespace> {
    const begun = holdUserNamespace(this.#system);
    // This also handles a rejection: callers that await the promise get it, too.
    begun.catch(() => undefined);
    this.#begun.add(begun);
    return begun;
  }

  async #namespaceFor(owner: UserIds, { user, server = user }: BindMapping): Promise<Fd> {
    const key = `${owner.uid}:${owner.gid}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const begun = this.#next ?? this.#begin();
    this.#next = undefined;
    const made = (await begun).map({
      uids: toOwnerMap(owner.uid, user.uid, server.uid),
      gids: toOwnerMap(owner.gid, user.gid, server.gid),
    });
    this.#known.set(key, made);
    return made;
  }
}

/**
 * The mapping of a bind: `owner` appears as `user`. Every other id of the host stays itself, which is nobody in the task: without a mapping
 * for its owner, the kernel would let no one write into a directory, even one that is writable for everyone. Ids of slots are left out, so
 * that no file can be created for them. Pure.
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
 * The owner on disk of what a task writes into a bind: the source's owner, but never root or root's group. Throws ERR_STACKSHIM_SPEC_INVALID
 * if the owner is an id that stackshim gives to tasks: a setuid file would then be a way into another task. Pure.
 */
export function ownerOfWritten(path: string, source: UserIds, fallback: number): UserIds {
  const { uid, gid } = source;
  if (uid === 0) return { uid: fallback, gid: fallback };
  if (isReservedId(uid) || isReservedId(gid)) {
    const hint = `give the source to another user (chown -R ${fallback}:${fallback}), or bind it read-only (:ro)`;
    const problem = `the source belongs to ${uid}:${gid}, an id that stackshim gives to tasks`;
    throw refused(path, problem, { hint });
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
