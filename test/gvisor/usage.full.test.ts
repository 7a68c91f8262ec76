/** test/e2e/usage.test.ts, in gVisor. */
import './support/on-gvisor.ts';
import '../e2e/usage.test.ts';
