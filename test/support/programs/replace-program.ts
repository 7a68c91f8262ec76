/** A program of the host that another takes the place of, for one call of the executable alone. */

/** For `through`: starts the executable in a mount namespace of its own, where `path`, a program, is `instead`. */
export const replaceProgram = (path: string, instead: string): readonly string[] => [
  ...['/usr/bin/unshare', '--mount', '/bin/sh', '-c'],
  ...['mount --bind "$1" "$2" && shift 2 && exec "$@"', 'sh', instead, path],
];
