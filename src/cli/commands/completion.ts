/** `stackshim completion`: prints the script for a shell. Each new shell runs this command, so it must not load the code of `complete`. */
import { SCRIPTS, type Shell } from '../completion/scripts.ts';
import { print } from '../print/print.ts';

export const completion = (shell: Shell): Promise<void> => print(SCRIPTS[shell]);
