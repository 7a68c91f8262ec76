/** Device nodes that a test may let others change; never the host's own. */

const NODES = [
  ['null', '1 3'],
  ['zero', '1 5'],
  ['full', '1 7'],
  ['random', '1 8'],
  ['urandom', '1 9'],
  ['tty', '5 0'],
] as const;

/** Shell code for its own mount namespace: device nodes on a tmpfs at /dev, and cgroups that crun accepts. */
export const ownDevices = (folder: string): string =>
  [
    'set -e',
    `mkdir ${folder} && mount -t tmpfs -o mode=0755 none ${folder} && cd ${folder}`,
    ...NODES.map(([name, minor]) => `mknod -m 666 ${name} c ${minor}`),
    'cp -a /dev/loop* .',
    'mkdir pts shm && ln -s /proc/self/fd fd && ln -s pts/ptmx ptmx',
    `cd / && mount --move ${folder} /dev && mount -t devpts -o newinstance,ptmxmode=0666 none /dev/pts`,
    'mountpoint -q /sys/fs/cgroup/unified && umount /sys/fs/cgroup/unified',
    'set +e',
  ].join('\n');
