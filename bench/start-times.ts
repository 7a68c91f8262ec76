/** Duration of one `/bin/true`, including removal: bare runc, the library and the executable, interleaved. */
import { runTask } from 'stackshim';
import { prepareBareRunc, timeProgram } from './bare-runc.ts';
import type { Installed } from './installed.ts';
import { interleave, type Summary } from './statistics.ts';

export interface StartTimes {
  readonly bare: Summary;
  readonly library: Summary;
  readonly executable: Summary;
}

const COMMAND = ['/bin/true'];

export async function measureStartTimes(installed: Installed, rounds: number): Promise<StartTimes> {
  const bare = await prepareBareRunc(installed, COMMAND);
  try {
    return await interleave(
      {
        bare: () => bare.run(),
        library: () => timeLibrary(installed),
        executable: () =>
          timeProgram(installed.executable, ['run', installed.stack, '--', ...COMMAND]),
      },
      { rounds, warmUp: 5 },
    );
  } finally {
    bare.dispose();
  }
}

async function timeLibrary(installed: Installed): Promise<number> {
  const startedAt = performance.now();
  const result = await runTask({ stack: installed.stack, command: COMMAND }, installed.options);
  const taken = performance.now() - startedAt;
  if (result.verdict !== 'succeeded' || !result.removed) throw new Error(JSON.stringify(result));
  return taken;
}
