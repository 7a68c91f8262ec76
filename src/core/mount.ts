/** Mounts as plain data: rooms plan them, and one interpreter (`rootfs/mount-rootfs.ts`) makes them. */

/** Ids of a user, on the host or in a task. */
export interface UserIds {
  readonly uid: number;
  readonly gid: number;
}

/** A contiguous range of host ids to which a task's ids 0…size-1 map. */
export interface IdRange {
  /** Host id of the task's id 0. */
  readonly base: number;
  readonly size: number;
}

/** Shows `size` ids of files on disk, from `from` on, as the ids from `to` on: one uid_map line of user_namespaces(7). */
export interface IdMap {
  readonly from: number;
  readonly to: number;
  readonly size: number;
}

/** How an idmapped mount shows file owners and groups. Files of an unmapped id cannot be written there. */
export interface IdMaps {
  readonly uids: readonly IdMap[];
  readonly gids: readonly IdMap[];
}

/** A file or folder of the host for the runtime to bind into the container. */
export interface PreparedBind {
  /** Host path. Already read-only (if asked), nodev and nosuid there, which the task cannot undo. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** True for a device node, which must remain usable as a device. */
  readonly isDevice?: boolean;
  /** Forbids executing its files. Default: false. */
  readonly noexec?: boolean;
}

/** A read-only filesystem image to use as an overlay's lower directory. */
export type LayerSource =
  /** A mounted layer. */
  | { readonly kind: 'mounted'; readonly path: string }
  /** An EROFS file of this task only. */
  | { readonly kind: 'file'; readonly path: string };

/** An overlay of layers and a private writable upper. */
export interface OverlayMount {
  readonly type: 'overlay';
  readonly target: string;
  /** Lowest first, as in an OCI image. */
  readonly layers: readonly LayerSource[];
  /** Folder of `upper/` and `work/`; both are created if missing. */
  readonly scratch: string;
  /** Whether setuid files and file capabilities take effect. Default: no. */
  readonly setuid?: boolean;
  /** The root directory's owner, as ids in the task. Default: the task's root. */
  readonly owner?: UserIds;
}

/** Shows a file or folder of the host at another path. */
export interface BindMount {
  readonly type: 'bind';
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** True: without the mounts below the source. Default: with them. */
  readonly alone?: boolean;
  /** Maps the source's owner to the user of the task's command. Default: no mapping. */
  readonly ownerMapped?: boolean;
  /** If this is a regular file, mounts the source over it, and nothing at `target`. */
  readonly over?: {
    /** Mount point of the root filesystem before this mount. */
    readonly rootfs: string;
    /** Relative to `rootfs`. */
    readonly file: string;
  };
}

/** A device of the host that a task may open through its own node with mode 0666: a new inode, not the host's. */
export interface TaskDevice {
  /** Path in the task, below `/dev`. */
  readonly path: string;
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  /** Letters of `rwm`; `m` is the right to make device nodes. */
  readonly access: string;
}

/** A small filesystem of device nodes `0`, `1`, …; any user may open them if the task's device rules allow it. */
export interface DevicesMount {
  readonly type: 'devices';
  readonly target: string;
  readonly nodes: readonly Omit<TaskDevice, 'path' | 'access'>[];
}

/** The `/dev` of a task in its own user namespace: the usual nodes and links, and mount points for the mounts below. */
export interface DevMount {
  readonly type: 'dev';
  readonly target: string;
}

/** A small filesystem in memory with one empty file; every user of the task may write to both. */
export interface MemoryMount {
  readonly type: 'memory';
  readonly target: string;
  /** The file's name. */
  readonly file: string;
}

export type Mount = OverlayMount | BindMount | DevicesMount | DevMount | MemoryMount;
