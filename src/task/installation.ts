/** One installation as this process uses it: what all its tasks share. */
import type { CgroupDriver } from '../cgroup/cgroup-driver.ts';
import { openCgroupDriver } from '../cgroup/open-cgroup-driver.ts';
import type { Layout } from '../core/layout.ts';
import { narrowStore } from '../store/narrow-store.ts';
import type { ExitWatcher } from '../sys/exit-watcher.ts';
import { exits } from '../sys/exit-watcher.ts';
import { type HostFacts, readHostFacts } from '../sys/host-facts.ts';
import { linuxSystem } from '../sys/linux-system.ts';
import type { System } from '../sys/system.ts';
import { requireTrustedPath } from '../sys/trusted-path.ts';

export interface Installation {
  readonly layout: Layout;
  readonly system: System;
  readonly host: HostFacts;
  readonly cgroups: CgroupDriver;
  readonly exits: ExitWatcher;
}

const opened = new Map<string, Installation>();

/**
 * The installation of a layout. Opened once per process; its only effect on disk is {@link narrowStore}. Throws ERR_STACKSHIM_PATH_UNTRUSTED
 * like {@link toTrustedLayout}.
 */
export function openInstallation(named: Layout): Installation {
  const layout = toTrustedLayout(named);
  const key = JSON.stringify(layout);
  const known = opened.get(key);
  if (known !== undefined) return known;
  narrowStore(layout);
  const made: Installation = {
    layout,
    system: linuxSystem,
    host: readHostFacts(),
    // Opened at first use: by then the runtime is at work, so it costs no time.
    get cgroups() {
      return openCgroupDriver();
    },
    exits,
  };
  opened.set(key, made);
  return made;
}

/**
 * The layout with all links in the paths of its folders resolved once; below them, no link is followed. Root trusts what these folders
 * contain, and runs some of it. Throws ERR_STACKSHIM_PATH_UNTRUSTED if another user controls a folder or a directory above it.
 */
export function toTrustedLayout(layout: Layout): Layout {
  return {
    ...layout,
    root: requireTrustedPath(layout.root, 'use root folder'),
    run: requireTrustedPath(layout.run, 'use run folder'),
  };
}
