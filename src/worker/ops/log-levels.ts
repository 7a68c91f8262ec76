/** The levels of a worker's log, from the most talkative. A file of its own: the command line names them without loading the logger. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
