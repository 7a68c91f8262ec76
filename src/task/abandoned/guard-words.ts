/** What a guarded process and its guard say to each other. */

/** By the owner: the guard is to end and do nothing. Without it the end of the pipe is the owner's death. */
export const DISMISSAL = 'dismissed\n';

/** By the guard, once it watches. */
export const READY = 'ready\n';
