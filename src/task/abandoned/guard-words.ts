/** The messages between a guarded process and its guard. */

/** From the owner: end and do nothing. If the pipe closes without this message, the owner has died. */
export const DISMISSAL = 'dismissed\n';

/** From the guard, once it watches. */
export const READY = 'ready\n';
