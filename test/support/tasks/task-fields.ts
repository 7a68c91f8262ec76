/** Every field that a task may have. */
import { OPTION_ROWS } from '../../../src/spec/options/task-options.ts';

export const TASK_INPUT_FIELDS = OPTION_ROWS.map(([field]) => field);
