/** Programs that were started with pipes of ours, until they are known to run. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/**
 * The program, once it runs; rejects with the system's error when it does not. Where descriptors are used up a child has no pipes,
 * whatever its type says; and an error of a child that nobody listens for ends the process.
 */
export async function started<Child extends ChildProcess>(child: Child): Promise<Child> {
  await once(child, 'spawn');
  return child;
}
