/** Fake OCI runtimes: shell scripts that add their own behaviour to a real runtime. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { type Layout, runtimesDir } from '../../../src/core/layout.ts';

/** The default runtime of a test's installation. */
export function realRunc(layout: Layout): string {
  const own = join(runtimesDir(layout), 'runc');
  return existsSync(own) ? own : '/usr/sbin/runc';
}

export interface FakeRuntimeOptions {
  /** Path of the real runtime. */
  readonly real: string;
  /** Shell code to run before the real runtime creates a container; `$REAL` is its path, `"$@"` its arguments. */
  readonly beforeCreate?: string;
  /** Shell code to run afterwards; `$status` is the exit status. */
  readonly afterCreate?: string;
}

/** Writes the script at `path`; every command except `create` is passed to the real runtime. */
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

/** A gate that another program waits at until it is released: two FIFOs. */
export interface Gate {
  /** Shell code that waits at the gate. */
  readonly stop: string;
  /** Resolves when a program waits at the gate. */
  reached(): Promise<void>;
  /** Releases the waiting program. */
  open(): Promise<void>;
}

export function makeGate(folder: string, name: string): Gate {
  mkdirSync(folder, { recursive: true });
  const [here, onward] = [join(folder, `${name}.here`), join(folder, `${name}.onward`)];
  // Programs of other users wait here too.
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
