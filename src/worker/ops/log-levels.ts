/** The levels of a worker's log, most verbose first. In a separate file, so that the command line need not load the logger. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
