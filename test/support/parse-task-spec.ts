/** A task as `planTask` reads it, with what it asks of the host, at once. */
import { parseAccess } from '../../src/spec/parse-access.ts';
import { readTaskInput, toTaskSpec } from '../../src/spec/parse-task-spec.ts';
import type { TaskOrigin } from '../../src/spec/task-input.ts';
import type { TaskSpec } from '../../src/spec/task-spec.ts';

export function parseTaskSpec(input: unknown, origin?: TaskOrigin): TaskSpec {
  const given = readTaskInput(input, origin);
  return toTaskSpec(given, parseAccess(given));
}
