/** `--json`, the option of every command that can print for programs. */
export const JSON_FLAG = ['--json', 'print JSON'] as const;

/** The value that commander passes on. */
export interface JsonOption {
  readonly json?: boolean;
}
