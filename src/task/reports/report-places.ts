/** The files of a task's report: `reports/<id>/` in the root folder. Pure. */

export interface ReportPlaces {
  /** What the task is. Written before anything else of the task exists. */
  readonly taskFile: string;
  /** How the task ended. */
  readonly endFile: string;
  /** Exists until the owner has stored the task's end, and reserves the disk space for it. */
  readonly draftFile: string;
}

export const reportPlaces = (dir: string): ReportPlaces => ({
  taskFile: `${dir}/task.json`,
  endFile: `${dir}/end.json`,
  draftFile: `${dir}/end.json.next`,
});

export const logFile = (dir: string, number: number) => `${dir}/log.${number}`;

const LOG_NAME = /^log\.([1-9]\d{0,8})$/;

/** The number in a log file's name; undefined for any other name. */
export function logNumber(name: string): number | undefined {
  const digits = LOG_NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
