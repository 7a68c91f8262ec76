/** `--json`, the option of every command that can print for programs. */
export const JSON_FLAG = ['--json', 'print JSON'] as const;

/** What commander makes of it. */
export interface JsonOption {
  readonly json?: boolean;
}
