/** test/e2e/ps.test.ts, in gVisor. */
import './support/on-gvisor.ts';
import '../e2e/ps.test.ts';
