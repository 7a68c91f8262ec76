/** One installation as this process uses it: what every task of it shares. */
import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { CgroupDriver } from '../cgroup/cgroup-driver.ts';
import { openCgroupDriver } from '../cgroup/open-cgroup-driver.ts';
import { errnoCodeOf, toStackshimError } from '../core/errors.ts';
import { type Layout, type LayoutOptions, layoutFrom } from '../core/layout.ts';
import { ExitWatcher } from '../sys/exit-watcher.ts';
import { type HostFacts, readHostFacts } from '../sys/host-facts.ts';
import { linuxSystem } from '../sys/linux-system.ts';
import type { System } from '../sys/system.ts';

/** Opaque to users of the library: made by {@link openInstallation}, handed to the other functions. */
export interface Installation {
  readonly layout: Layout;
  readonly system: System;
  readonly host: HostFacts;
  readonly cgroups: CgroupDriver;
  readonly exits: ExitWatcher;
}

const opened = new Map<string, Installation>();

/** The installation that `options`, else the environment, names. Opened once per process; has no effect on disk. */
export function openInstallation(options: LayoutOptions = {}): Installation {
  const layout = withRealFolders(layoutFrom(options, process.env));
  const key = JSON.stringify(layout);
  const known = opened.get(key);
  if (known !== undefined) return known;
  const made: Installation = {
    layout,
    system: linuxSystem,
    host: readHostFacts(),
    // Looked for when first needed: by then the runtime is at work, and the time is not missed.
    get cgroups() {
      return openCgroupDriver();
    },
    exits: sharedExits(),
  };
  opened.set(key, made);
  return made;
}

/** Links in the folders' own paths are resolved once: below them, none is followed. */
function withRealFolders(layout: Layout): Layout {
  return { ...layout, root: realFolder(layout.root), run: realFolder(layout.run) };
}

/** Of a path that need not exist yet. */
function realFolder(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (errnoCodeOf(error) !== 'ENOENT') {
      throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', `find folder ${path}`);
    }
    const whole = resolve(path);
    return join(realFolder(dirname(whole)), basename(whole));
  }
}

let exits: ExitWatcher | undefined;

/** One for the process: there is one SIGCHLD. */
function sharedExits(): ExitWatcher {
  exits ??= new ExitWatcher(linuxSystem);
  return exits;
}
