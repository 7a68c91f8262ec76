/** Names of temporary files that name their owner, so that other processes can remove the files of dead owners. */
import { bootId, isOwnerAlive, ownIdentity, type ProcessIdentity } from './processes.ts';

/** `<pid>-<start time>-<16 random hex digits>`, different each time. */
export function toOwnedName(): string {
  const { pid, startTime } = ownIdentity();
  const random = Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex');
  return `${pid}-${startTime}-${random}`;
}

const OWNED = /(?:^|\.)(\d{1,10})-(\d{1,16})-[0-9a-f]{16}(?:\.|$)/;

/** The owner in a name that contains an owned name at its beginning or after a dot; undefined for any other name. */
export function ownerOfName(name: string): ProcessIdentity | undefined {
  const match = OWNED.exec(name);
  return match === null ? undefined : { pid: Number(match[1]), startTime: Number(match[2]) };
}

/** Whether a name has an owner that has ended or that ran before the last boot. */
export function isStaleName(name: string): boolean {
  const owner = ownerOfName(name);
  return owner !== undefined && !isOwnerAlive({ ...owner, bootId: bootId() });
}
