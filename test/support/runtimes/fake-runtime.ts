/** Stand-ins for an OCI runtime: shell scripts that do something of their own and leave the rest to a real one. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { type Layout, runtimesDir } from '../../../src/core/layout.ts';

/** The runtime that a test's installation uses by default. */
export function realRunc(layout: Layout): string {
  const own = join(runtimesDir(layout), 'runc');
  return existsSync(own) ? own : '/usr/sbin/runc';
}

export interface FakeRuntimeOptions {
  /** Path of the runtime that does the work. */
  readonly real: string;
  /** Shell code before the real runtime creates a container; `$REAL` is its path, `"$@"` its arguments. */
  readonly beforeCreate?: string;
  /** The same, after it; `$status` is its exit status. */
  readonly afterCreate?: string;
}

/** Writes the script at `path`; everything but `create` goes straight to the real runtime. */
export function writeFakeRuntime(path: string, options: FakeRuntimeOptions): void {
  const { real, beforeCreate = ':', afterCreate = ':' } = options;
  writeExecutable(
    path,
    `#!/bin/sh
REAL=${real}
case " $* " in
*" create "*) ;;
*) exec "$REAL" "$@" ;;
esac
${beforeCreate}
"$REAL" "$@"
status=$?
${afterCreate}
exit $status
`,
  );
}

export function writeExecutable(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

/** A point that another program reaches, and waits at until it is let go: two FIFOs. */
export interface Gate {
  /** Shell code that stops at the gate. */
  readonly stop: string;
  /** Resolves when a program has arrived. */
  reached(): Promise<void>;
  /** Lets the program that has arrived go on. */
  open(): Promise<void>;
}

export function makeGate(folder: string, name: string): Gate {
  mkdirSync(folder, { recursive: true });
  const [here, onward] = [join(folder, `${name}.here`), join(folder, `${name}.onward`)];
  // Programs of other users stop here too.
  execFileSync('mkfifo', ['-m', '666', here, onward]);
  return {
    stop: `echo here > ${here}; read -r _ < ${onward}`,
    async reached() {
      const file = await open(here, 'r');
      await file.read(Buffer.alloc(8), 0, 8, null);
      await file.close();
    },
    async open() {
      const file = await open(onward, 'w');
      await file.write('go\n');
      await file.close();
    },
  };
}
