/** test/e2e/reap.test.ts, in gVisor. */
import './support/on-gvisor.ts';
import '../e2e/reap.test.ts';
