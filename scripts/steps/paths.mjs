/** Where the scripts find things in this checkout and on the host. */
import { fileURLToPath } from 'node:url';

/** The checkout's folder, without a trailing slash. */
export const projectRoot = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** The executable that `npm run build` makes. */
export const executableFile = `${projectRoot}/dist/stackshim`;

/** The durable root folder of the installation that is set up. */
export const installationRoot = process.env.STACKSHIM_ROOT ?? '/var/lib/stackshim';
