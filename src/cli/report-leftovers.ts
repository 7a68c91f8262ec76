/** What a task left behind, as a person reads it, on stderr. */

export function reportLeftovers(task: {
  readonly id: string;
  readonly leftovers: readonly string[];
}): void {
  process.stderr.write(
    `stackshim: task ${task.id} is not removed: ${task.leftovers.join(', ')}\n  hint: stackshim reap removes what is left\n`,
  );
}
