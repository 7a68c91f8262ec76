/** How `stackshim run` calls the process that holds its task to its time; not for people, and in no help. */
export const HOLD_COMMAND = 'hold-limit';
