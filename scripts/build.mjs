/** npm run build: dist/lib for Node, dist/stackshim as one executable, dist/man for man. */
import { ensureBuild } from './steps/ensure-build.mjs';
import { runScript } from './steps/run-script.mjs';

await runScript(ensureBuild);
