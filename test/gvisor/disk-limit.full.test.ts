/** test/e2e/disk-limit.test.ts, in gVisor. */
import './support/on-gvisor.ts';
import '../e2e/disk-limit.test.ts';
