/** Paths of the scripts, in this checkout and on the host. */
import { fileURLToPath } from 'node:url';

/** The checkout's folder, without a trailing slash. */
export const projectRoot = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** The executable that `npm run build` makes. */
export const executableFile = `${projectRoot}/dist/stackshim`;

/** The root folder of the installation that the set-up serves. */
export const installationRoot = process.env.STACKSHIM_ROOT ?? '/var/lib/stackshim';
