/** test/e2e/run-bad-input.test.ts, in gVisor. */
import './support/on-gvisor.ts';
import '../e2e/run-bad-input.test.ts';
