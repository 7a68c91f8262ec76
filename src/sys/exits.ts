import { ExitWatcher } from './exit-watcher.ts';
import { linuxSystem } from './linux-system.ts';

/** The exits that this thread waits for. One watcher serves all programs and tasks, because there is only one SIGCHLD. */
export const exits = new ExitWatcher(linuxSystem);
