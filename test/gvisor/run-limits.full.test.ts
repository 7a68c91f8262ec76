/** test/e2e/run-limits.test.ts, in gVisor. */
import './support/on-gvisor.ts';
import '../e2e/run-limits.test.ts';
