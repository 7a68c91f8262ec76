/** Where workers keep logs and artefacts of jobs, below the folders for these. The names of lanes and jobs have no slash. Pure. */
import { join } from 'node:path';
import { type JobPlace, laneName } from './lane.ts';

export const LOG_SUFFIX = '.ndjson';

export const logFile = (folder: string, { lane, id }: JobPlace): string =>
  join(folder, laneName(lane), `${id}${LOG_SUFFIX}`);

/** The folder of the artefacts of a job, with one folder for each attempt. */
export const artefactsOf = (folder: string, { lane, id }: JobPlace): string =>
  join(folder, laneName(lane), id);
