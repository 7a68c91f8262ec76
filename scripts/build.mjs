/** npm run build: dist/lib for Node, dist/stackshim as one executable. */
import { ensureBuild } from './steps/ensure-build.mjs';
import { runScript } from './steps/failure.mjs';

await runScript(ensureBuild);
