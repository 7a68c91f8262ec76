/** test/e2e/run-corrupt.test.ts, in gVisor. */
import './support/on-gvisor.ts';
import '../e2e/run-corrupt.test.ts';
