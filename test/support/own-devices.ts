/** Device nodes that a test may let others change: never the host's. */

/** For a shell in a mount namespace of its own: copies of the host's nodes on a tmpfs at /dev, and cgroups that crun takes. */
export const ownDevices = (folder: string): string =>
  [
    'set -e',
    `mkdir ${folder} && mount -t tmpfs -o mode=0755 none ${folder} && cd ${folder}`,
    'cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/loop* .',
    'mkdir pts shm && ln -s /proc/self/fd fd && ln -s pts/ptmx ptmx',
    `cd / && mount --move ${folder} /dev && mount -t devpts -o newinstance,ptmxmode=0666 none /dev/pts`,
    'mountpoint -q /sys/fs/cgroup/unified && umount /sys/fs/cgroup/unified',
    'set +e',
  ].join('\n');
