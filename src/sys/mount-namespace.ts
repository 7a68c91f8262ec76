/** The mount namespace of this process, by the inode number that the kernel gives it while it exists. */
import { readlinkSync } from 'node:fs';

let own: string | undefined;

export function ownMountNamespace(): string {
  // `mnt:[4026531841]`
  own ??= readlinkSync('/proc/self/ns/mnt').replaceAll(/\D/g, '');
  return own;
}
