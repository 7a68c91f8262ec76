/** Replaces a program of the host, for one call of the executable. */

/** For `through`: starts the executable in its own mount namespace, where the program at `path` is `instead`. */
export const replaceProgram = (path: string, instead: string): readonly string[] => [
  ...['/usr/bin/unshare', '--mount', '/bin/sh', '-c'],
  ...['mount --bind "$1" "$2" && shift 2 && exec "$@"', 'sh', instead, path],
];
