/** The guard's program, for users of the library; the executable calls itself instead. */
import type { GuardOrder } from './guard.ts';
import { serveGuard } from './serve-guard.ts';

const order: GuardOrder = JSON.parse(process.argv[2] ?? '');
await serveGuard(order);
