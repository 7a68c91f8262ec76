/** Paths of logs and artefacts below the folders where workers keep them. Names of lanes and jobs contain no slash. Pure. */
import { join } from 'node:path';
import { type JobPlace, laneName } from './lane.ts';

export const LOG_SUFFIX = '.ndjson';

export const logFile = (folder: string, { lane, id }: JobPlace): string =>
  join(folder, laneName(lane), `${id}${LOG_SUFFIX}`);

/** The folder of a job's artefacts, which has one folder for each attempt. */
export const artefactsOf = (folder: string, { lane, id }: JobPlace): string =>
  join(folder, laneName(lane), id);
