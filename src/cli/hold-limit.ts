/** What the process beside `stackshim run` does: looks at the time of one task until its standard input ends. */
import { read } from 'node:fs';
import { parseTaskId } from '../core/ids.ts';
import { LIMIT_LOOK_MS, LimitHolder } from '../task/abandoned/hold-limits.ts';
import { openInstallation } from '../task/installation.ts';

const STDIN = 0;

/** Resolves when the run has ended, however it did. */
export async function holdLimit(id: string | undefined): Promise<void> {
  const ids = [parseTaskId(id ?? '')];
  const holder = new LimitHolder(openInstallation());
  const looks = setInterval(() => holder.look(ids), LIMIT_LOOK_MS);
  await new Promise((resolve) => read(STDIN, Buffer.alloc(1), 0, 1, null, resolve));
  clearInterval(looks);
}
