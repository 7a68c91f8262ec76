/** Mounts as plain data: rooms plan them, one interpreter (`rootfs/mount-rootfs.ts`) carries them out. */

/** A contiguous range of host ids that a task's ids 0…size-1 are mapped to. */
export interface IdRange {
  /** Host id of the task's id 0. */
  readonly base: number;
  readonly size: number;
}

/** `size` ids of a file as it lies on disk, from `from` on, are seen as those from `to` on: a line of uid_map in user_namespaces(7). */
export interface IdMap {
  readonly from: number;
  readonly to: number;
  readonly size: number;
}

/** How an idmapped mount shows the owners and groups of files. What belongs to an id that is not mapped cannot be written there. */
export interface IdMaps {
  readonly uids: readonly IdMap[];
  readonly gids: readonly IdMap[];
}

/** Shows the ids 0…size-1 of a layer as those of a range. */
export function toIdMaps({ base, size }: IdRange): IdMaps {
  const map = [{ from: 0, to: base, size }];
  return { uids: map, gids: map };
}

/** A read-only filesystem image to stand below an overlay. */
export type LayerSource =
  /** A layer that is mounted already. */
  | { readonly kind: 'mounted'; readonly path: string }
  /** An EROFS file that this task alone uses. */
  | { readonly kind: 'file'; readonly path: string };

/** An overlay of layers and a private writable upper. */
export interface OverlayMount {
  readonly type: 'overlay';
  readonly target: string;
  /** Lowest first, as in an OCI image. */
  readonly layers: readonly LayerSource[];
  /** Folder that holds `upper/` and `work/`; both are made when missing. */
  readonly scratch: string;
  /** Whether setuid files and file capabilities in it have an effect. Default: none. */
  readonly setuid?: boolean;
}

/** A host file or folder seen again at another place. */
export interface BindMount {
  readonly type: 'bind';
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** Without what is mounted below the source. Default: with it. */
  readonly alone?: boolean;
  /** Maps the source's owner to the user of the task's command. Default: ids are left as they are. */
  readonly ownerMapped?: boolean;
}

/** A device of the host's kernel that a task may open, through a node of its own with mode 0666: a new inode, not the host's. */
export interface TaskDevice {
  /** Where the task finds it, below `/dev`. */
  readonly path: string;
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  /** Of `rwm`; `m` is the right to make nodes of it. */
  readonly access: string;
}

/** A small filesystem of device nodes, `0`, `1`, …, that every user may open, as far as the task's device rules let it. */
export interface DevicesMount {
  readonly type: 'devices';
  readonly target: string;
  readonly nodes: readonly Omit<TaskDevice, 'path' | 'access'>[];
}

export type Mount = OverlayMount | BindMount | DevicesMount;
