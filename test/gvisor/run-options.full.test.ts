/** test/e2e/run-options.test.ts, in gVisor. */
import './support/on-gvisor.ts';
import '../e2e/run-options.test.ts';
