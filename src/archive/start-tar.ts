/** Walks a folder by the `tar` program: by descriptors, on one filesystem, following no links. A folder that blocks tar blocks nothing else. */
import { StackshimError, toStackshimError } from '../core/errors.ts';
import { findProgram } from '../sys/find-program.ts';
import { type EndedTool, type StartedTool, startTool } from '../sys/start-tool.ts';

/** Starts a tar of the folder's content: names in byte order, numeric owners, all attributes. The caller ends it by `killAll`. */
export async function startTar(
  folder: string,
  signal: AbortSignal | undefined,
): Promise<StartedTool> {
  const command = [
    findProgram('tar', { package: 'tar' }),
    ...['--create', '--file=-', '--format=pax', '--sort=name', '--numeric-owner'],
    ...['--pax-option=delete=atime,delete=ctime'],
    ...['--xattrs', '--xattrs-include=*', '--one-file-system', `--directory=${folder}`, '.'],
  ];
  try {
    const tar = await startTool({ command, signal });
    tar.stdin.end();
    return tar;
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', `pack ${folder}`);
  }
}

/** Throws ERR_STACKSHIM_SYSTEM unless tar packed everything. */
export function requirePacked({ failure, stderr }: EndedTool, folder: string): void {
  if (failure === undefined) return;
  const message = `pack ${folder}: tar: ${failure}`;
  throw new StackshimError('ERR_STACKSHIM_SYSTEM', message, { details: { folder, stderr } });
}
