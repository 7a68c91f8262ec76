/** A task's `/etc/hosts`: without one neither `localhost` nor the task's own name can be resolved. */

/** Text of the file. The task's own name gets an address of the loopback, as Debian does for hosts without a fixed one. */
export function buildHostsFile(hostname: string): string {
  return [
    '127.0.0.1 localhost',
    '::1 localhost ip6-localhost ip6-loopback',
    `127.0.1.1 ${hostname}`,
    '',
  ].join('\n');
}
