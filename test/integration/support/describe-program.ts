/** What a program finds that stackshim starts like a runtime: descriptors, signals, session, directory, umask, environment. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { ffi } from '#ffi';
import { callRuntime } from '../../../src/runtime/call-runtime.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { openNullDevice } from '../../../src/sys/start-program.ts';

export interface DescribedProgram {
  readonly descriptors: string;
  readonly environment: string;
  readonly directory: string;
  readonly leadsSession: boolean;
  readonly umask: string;
  /** Signal masks of proc_pid_status(5). */
  readonly blocked: string;
  readonly ignored: string;
}

/** Reads everything with shell built-ins: starting a program blocks signals and opens descriptors. */
const script = `
fd=0
descriptors=
while [ $fd -lt 256 ]; do
  [ -e /proc/$$/fd/$fd ] && descriptors="$descriptors $fd"
  fd=$((fd + 1))
done
echo "descriptors=$descriptors"
read -r pid comm state ppid group session rest < /proc/$$/stat
echo "leads=$pid=$group=$session"
while read -r name value; do echo "$name=$value"; done < /proc/$$/status
echo "environment=$(tr '\\0' ' ' < /proc/$$/environ)"
echo "directory=$(readlink /proc/$$/cwd)"
`;

/** Starts the program while this process holds a pipe that children could inherit. The program writes to `file`. */
export async function describeProgram(file: string): Promise<DescribedProgram> {
  const said = openSync(file, 'w');
  const silent = openNullDevice('both');
  const inherited = Buffer.alloc(8);
  ffi.call('pipe2', inherited, 0);
  try {
    const shell = { kind: 'other', path: '/bin/sh', version: '1' } as const;
    const options = { operation: 'describe', stdio: [silent, said, silent] };
    const exitCode = await callRuntime(shell, ['-c', script], options);
    if (exitCode !== 0) throw new Error(`the program ended with ${exitCode}`);
  } finally {
    closeSync(said);
    closeSync(silent);
    for (const at of [0, 4]) linuxSystem.close(inherited.readInt32LE(at));
  }
  return parse(readFileSync(file, 'utf8'));
}

function parse(text: string): DescribedProgram {
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
  const [pid, group, session] = value('leads').split('=');
  return {
    descriptors: value('descriptors'),
    environment: value('environment'),
    directory: value('directory'),
    leadsSession: pid !== undefined && pid === group && pid === session,
    umask: value('Umask:'),
    blocked: value('SigBlk:'),
    ignored: value('SigIgn:'),
  };
}
