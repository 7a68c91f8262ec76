/** test/e2e/kill.test.ts, in gVisor. */
import './support/on-gvisor.ts';
import '../e2e/kill.test.ts';
