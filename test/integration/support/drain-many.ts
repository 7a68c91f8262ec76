/** Drains pipes one after another: their content, and the number of this process's descriptors before and after. */
import { readdirSync, writeSync } from 'node:fs';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { drainPipe } from '../../../src/sys/pipes.ts';

const TEXT = 'hello';

export interface Drained {
  readonly texts: readonly string[];
  readonly descriptors: readonly [before: number, after: number];
}

const countDescriptors = () => readdirSync('/proc/self/fd').length;

/** Drains `count` pipes after a first one, for which the engine opens descriptors that stay open. */
export async function drainMany(count: number): Promise<Drained> {
  await drainOne();
  const before = countDescriptors();
  const texts: string[] = [];
  for (let index = 0; index < count; index += 1) texts.push(await drainOne());
  return { texts, descriptors: [before, await settled(before)] };
}

async function drainOne(): Promise<string> {
  const [readEnd, writeEnd] = linuxSystem.createPipe();
  let text = '';
  const drain = drainPipe(readEnd, (chunk) => {
    text += Buffer.from(chunk).toString();
  });
  writeSync(writeEnd, TEXT);
  linuxSystem.close(writeEnd);
  await drain.ended;
  return text;
}

/** The engine may close on another thread. */
async function settled(wanted: number): Promise<number> {
  for (let left = 200; left > 0 && countDescriptors() > wanted; left -= 1) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return countDescriptors();
}
