/** The exits that this thread waits for. */
import { ExitWatcher } from './exit-watcher.ts';
import { linuxSystem } from './linux-system.ts';

/** One for all: there is one SIGCHLD. */
export const exits = new ExitWatcher(linuxSystem);
