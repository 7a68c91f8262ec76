/** The exits that this thread waits for. */
import { ExitWatcher } from './exit-watcher.ts';
import { linuxSystem } from './linux-system.ts';

/** One watcher for all programs and tasks: there is only one SIGCHLD. */
export const exits = new ExitWatcher(linuxSystem);
