/** `stackshim queue script`: prints the script with which other programs add jobs to Redis. */
import { toAddJobScript } from '../../worker/client/add-job-script.ts';
import { print } from '../print/print.ts';

export const queueScript = (): Promise<void> => print(toAddJobScript());
