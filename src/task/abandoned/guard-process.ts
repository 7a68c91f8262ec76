/** The program of a guard, for users of the library; the executable calls itself. */
import type { GuardOrder } from './guard.ts';
import { serveGuard } from './serve-guard.ts';

const order: GuardOrder = JSON.parse(process.argv[2] ?? '');
await serveGuard(order);
