/** test/e2e/recovery.test.ts, in gVisor. */
import './support/on-gvisor.ts';
import '../e2e/recovery.test.ts';
