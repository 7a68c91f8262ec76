/** One installation as this process uses it: what every task of it shares. */
import type { CgroupDriver } from '../cgroup/cgroup-driver.ts';
import { openCgroupDriver } from '../cgroup/open-cgroup-driver.ts';
import type { Layout } from '../core/layout.ts';
import { narrowStore } from '../layers/narrow-store.ts';
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
 * The installation of a layout. Opened once per process; has no effect on disk but {@link narrowStore}.
 * Throws ERR_STACKSHIM_PATH_UNTRUSTED as {@link toTrustedLayout}.
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
    // Looked for when first needed: by then the runtime is at work, and the time is not missed.
    get cgroups() {
      return openCgroupDriver();
    },
    exits,
  };
  opened.set(key, made);
  return made;
}

/**
 * The layout with the links in its folders' own paths resolved once: below them, none is followed. Root trusts what it finds there, and
 * runs some of it: throws ERR_STACKSHIM_PATH_UNTRUSTED when another user controls a folder or a directory above one.
 */
export function toTrustedLayout(layout: Layout): Layout {
  return {
    ...layout,
    root: requireTrustedPath(layout.root, 'use root folder'),
    run: requireTrustedPath(layout.run, 'use run folder'),
  };
}
