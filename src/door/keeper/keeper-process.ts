/** The program of a keeper that the library starts. */
import { keepTask } from './keep-task.ts';

await keepTask();
process.exitCode = 0;
