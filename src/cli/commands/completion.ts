/** `stackshim completion`: prints the script for a shell. Each new shell runs it: it must not load the code that answers the script. */
import { SCRIPTS, type Shell } from '../completion/scripts.ts';
import { print } from '../print/print.ts';

export const completion = (shell: Shell): Promise<void> => print(SCRIPTS[shell]);
