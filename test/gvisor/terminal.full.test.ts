/** test/e2e/terminal.test.ts, in gVisor. */
import './support/on-gvisor.ts';
import '../e2e/terminal.test.ts';
