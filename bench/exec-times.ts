/** Duration of one `/bin/true` in a running task: `runc exec`, `exec()` of the library and `stackshim exec`, interleaved. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { openStackshim, type TaskHandle } from 'stackshim';
import { timeProgram } from './bare-runc.ts';
import type { Installed } from './installed.ts';
import { interleave, type Summary } from './statistics.ts';

export interface ExecTimes {
  readonly bare: Summary;
  readonly library: Summary;
  readonly executable: Summary;
}

const COMMAND = ['/bin/true'];
/** No task may have more than 1,000 commands. */
const MOST = 450;

export async function measureExecTimes(installed: Installed, rounds: number): Promise<ExecTimes> {
  const { stack, run, options, runc, executable } = installed;
  const handle = await openStackshim(options).start({ stack, command: ['sleep', '3600'] });
  for await (const event of handle.events) if (event.type === 'started') break;
  const { id } = handle;
  const file = `${run}/bench-exec.json`;
  try {
    writeProcess(`${run}/tasks/${id}/bundle/config.json`, file);
    // runc executes commands from the root filesystem's folder, which the first command makes again.
    await timeLibrary(handle);
    const bare = ['--root', `${run}/runtime`, 'exec', '--process', file, id];
    return await interleave(
      {
        bare: () => timeProgram(runc, bare),
        library: () => timeLibrary(handle),
        executable: () => timeProgram(executable, ['exec', id, '--', ...COMMAND]),
      },
      { rounds: Math.min(rounds, MOST), warmUp: 5 },
    );
  } finally {
    await handle.kill();
    rmSync(file, { force: true });
  }
}

async function timeLibrary(handle: TaskHandle): Promise<number> {
  const startedAt = performance.now();
  const { exitCode } = await handle.exec(COMMAND);
  if (exitCode !== 0) throw new Error(`exec of ${COMMAND[0]} ended with ${exitCode}`);
  return performance.now() - startedAt;
}

/** The process of the task with the measured command: what stackshim gives to runc. */
function writeProcess(config: string, file: string): void {
  const { process } = JSON.parse(readFileSync(config, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...process, args: COMMAND }));
}
