/** The environment of programs that root starts: never the caller's own. */

/** Where programs are looked for, in this order, as sudo's `secure_path` has them. */
export const SYSTEM_FOLDERS: readonly string[] = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
];

export const SYSTEM_PATH = SYSTEM_FOLDERS.join(':');

/** For programs that read no configuration. */
export const PLAIN_ENVIRONMENT = { PATH: SYSTEM_PATH, LC_ALL: 'C' } as const;

/** The caller's proxies, for programs that speak to other machines. */
export const PROXY_VARIABLES = [
  ...['http_proxy', 'https_proxy', 'no_proxy'],
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'],
] as const;

/** Those of the variables named that are set in `env`. */
export function pickVariables(
  names: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of names) {
    const value = env[name];
    if (value !== undefined) picked[name] = value;
  }
  return picked;
}
