/** The installation to measure: the quickstart's, or the one that the environment names. */
import { existsSync, readFileSync } from 'node:fs';

export interface Installed {
  readonly stack: string;
  readonly root: string;
  readonly run: string;
  /** Options for `runTask`. */
  readonly options: { readonly root: string; readonly run: string };
  /** The default runtime of stackshim. */
  readonly runc: string;
  readonly executable: string;
}

export function findInstalled(stack: string): Installed {
  const root = process.env['STACKSHIM_ROOT'] ?? '/var/lib/stackshim';
  const run = process.env['STACKSHIM_RUN'] ?? '/run/stackshim';
  const own = `${root}/runtimes/runc`;
  return {
    stack,
    root,
    run,
    options: { root, run },
    runc: existsSync(own) ? own : '/usr/sbin/runc',
    executable: new URL('../../dist/stackshim', import.meta.url).pathname,
  };
}

/** Layers of the stack's current image, lowest first. */
export function imageLayers({ root, stack }: Installed): readonly string[] {
  const { stacks } = JSON.parse(readFileSync(`${root}/current`, 'utf8'));
  const revision = JSON.parse(
    readFileSync(`${root}/stacks/${stack}/${stacks[stack]}.json`, 'utf8'),
  );
  const hex = String(revision.image).replace('sha256:', '');
  return JSON.parse(readFileSync(`${root}/images/${hex}.json`, 'utf8')).layers;
}
