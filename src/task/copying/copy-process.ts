/** The copying process that the library starts; the executable calls itself instead. */
import type { CopyOrder } from './copy-order.ts';
import { serveCopy } from './serve-copy.ts';

const order: CopyOrder = JSON.parse(process.argv[2] ?? '');
await serveCopy(order);
