/** The mount namespace of this process, named by its inode number, which is unique while the namespace exists. */
import { readlinkSync } from 'node:fs';

let own: string | undefined;

export function ownMountNamespace(): string {
  // `mnt:[4026531841]`
  own ??= readlinkSync('/proc/self/ns/mnt').replaceAll(/\D/g, '');
  return own;
}
