/** Commands of tasks as shell scripts: more than a few words are easier to read that way. */
export const sh = (script: string): readonly string[] => ['sh', '-c', script];
