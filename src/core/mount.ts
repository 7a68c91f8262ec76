/** Mounts as plain data: rooms plan them, and one interpreter (`rootfs/mount-rootfs.ts`) makes them. */

/** Of the host or of a task, as the place says. */
export interface UserIds {
  readonly uid: number;
  readonly gid: number;
}

/** A contiguous range of host ids to which a task's ids 0…size-1 are mapped. */
export interface IdRange {
  /** Host id of the task's id 0. */
  readonly base: number;
  readonly size: number;
}

/** Shows `size` ids of files on disk, starting at `from`, as the ids starting at `to`: one line of uid_map in user_namespaces(7). */
export interface IdMap {
  readonly from: number;
  readonly to: number;
  readonly size: number;
}

/** How an idmapped mount shows the owners and groups of files. Files of an unmapped id cannot be written there. */
export interface IdMaps {
  readonly uids: readonly IdMap[];
  readonly gids: readonly IdMap[];
}

/** A file or folder of the host that the task sees, for the runtime to bind into the container. */
export interface PreparedBind {
  /** Host side. It is already read-only (if asked), nodev and nosuid there, where the task cannot undo it. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** True for a device node, which must stay openable as a device. */
  readonly isDevice?: boolean;
  /** Whether nothing in it can be executed. Default: no. */
  readonly noexec?: boolean;
}

/** A read-only filesystem image for use as a lower directory of an overlay. */
export type LayerSource =
  /** A layer that is already mounted. */
  | { readonly kind: 'mounted'; readonly path: string }
  /** An EROFS file that only this task uses. */
  | { readonly kind: 'file'; readonly path: string };

/** An overlay of layers and a private writable upper. */
export interface OverlayMount {
  readonly type: 'overlay';
  readonly target: string;
  /** Lowest first, as in an OCI image. */
  readonly layers: readonly LayerSource[];
  /** Folder of `upper/` and `work/`, which are created if missing. */
  readonly scratch: string;
  /** Whether setuid files and file capabilities in it have an effect. Default: no. */
  readonly setuid?: boolean;
  /** The task's ids of the user who owns its root directory. Default: the task's root. */
  readonly owner?: UserIds;
}

/** Shows a file or folder of the host at another path. */
export interface BindMount {
  readonly type: 'bind';
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** True: leaves out what is mounted below the source. Default: includes it. */
  readonly alone?: boolean;
  /** Maps the source's owner to the user of the task's command. Default: no mapping. */
  readonly ownerMapped?: boolean;
  /** If this is a regular file, the source is mounted over it, and nothing at `target`. */
  readonly over?: {
    /** Where the root filesystem is mounted, before this mount. */
    readonly rootfs: string;
    /** Relative to it. */
    readonly file: string;
  };
}

/** A device of the host that a task may open, through its own node with mode 0666: a new inode, not the host's. */
export interface TaskDevice {
  /** Path in the task, below `/dev`. */
  readonly path: string;
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  /** Letters of `rwm`; `m` is the right to make nodes of the device. */
  readonly access: string;
}

/** A small filesystem of device nodes `0`, `1`, …, which every user may open if the task's device rules allow it. */
export interface DevicesMount {
  readonly type: 'devices';
  readonly target: string;
  readonly nodes: readonly Omit<TaskDevice, 'path' | 'access'>[];
}

/** The `/dev` of a task in a user namespace of its own: the usual nodes and links, and mount points for what is mounted below. */
export interface DevMount {
  readonly type: 'dev';
  readonly target: string;
}

/** A small filesystem in memory with one empty file; every user of the task may write to both. */
export interface MemoryMount {
  readonly type: 'memory';
  readonly target: string;
  /** Name of the file. */
  readonly file: string;
}

export type Mount = OverlayMount | BindMount | DevicesMount | DevMount | MemoryMount;
