/** The program of a copying process, for users of the library; the executable calls itself. */
import type { CopyOrder } from './copy-order.ts';
import { serveCopy } from './serve-copy.ts';

const order: CopyOrder = JSON.parse(process.argv[2] ?? '');
await serveCopy(order);
