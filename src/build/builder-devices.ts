/** Gives a builder a few harmless devices in its own mount namespace, so that no step of a build can get a device of the host. */

/** Where the builder keeps files that a step's root must reach: their folder on the host is closed to all but root. */
export const BUILDER_TMP = '/dev/stackshim';

/** Runs in the builder's own mount namespace (run-contained.ts); the host's /dev stays. `umask 022` keeps the caller's umask out of the image. */
const SCRIPT = `set -e
umask 022
mount -t tmpfs -o nosuid,noexec,mode=0755,size=64k,nr_inodes=64 stackshim /dev
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/zero c 1 5
mknod -m 666 /dev/full c 1 7
mknod -m 666 /dev/random c 1 8
mknod -m 666 /dev/urandom c 1 9
mknod -m 666 /dev/tty c 5 0
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
mkdir -m 755 /dev/pts
mkdir -m 711 ${BUILDER_TMP}
mount -t devpts -o newinstance,nosuid,noexec,ptmxmode=0666,mode=0620 stackshim /dev/pts
mount --bind "$1" ${BUILDER_TMP}
shift
exec "$@"`;

/** Returns the command prefix that provides these devices, and the folder `tmp` at {@link BUILDER_TMP}. */
export const withBuilderDevices = (tmp: string): readonly string[] => [
  '/bin/sh',
  '-c',
  SCRIPT,
  'sh',
  tmp,
];
