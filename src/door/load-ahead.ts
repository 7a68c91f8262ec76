/**
 * Loads, for a process that may live for months, the code that only some tasks need, or that a task needs only later. Node cannot load a module
 * without a free file descriptor, and caches the error: the module stays unusable for the rest of the process. Leaves out large code (what
 * packs code and images, zod), and the driver of gVisor.
 */
import '../cgroup/kill-group.ts';
import '../cgroup/live-v1.ts';
import '../cgroup/live-v2.ts';
import '../cgroup/share-group.ts';
import '../runtime/copy-runtime.ts';
import '../runtime/learn-version.ts';
import '../runtime/runtime-failure.ts';
import '../spec/parse-access.ts';
import '../spec/parse-policy.ts';
import '../store/layers/mount-layer.ts';
import '../store/stacks/resolve-stack.ts';
import '../sys/feed-pipe.ts';
import '../sys/pipe-io/node-terminal.ts';
import '../task/admission/join-tenant.ts';
import '../task/admission/require-reserves.ts';
import '../task/bind-owners.ts';
import '../task/container-hand-over.ts';
import '../task/disk/make-volume.ts';
import '../task/disk/project-disk.ts';
import '../task/disk/sampled-disk.ts';
import '../task/disk/scratch-volume.ts';
import '../task/ending/follow-limits.ts';
import '../task/ending/kill-task.ts';
import '../task/ending/limit-watch.ts';
import '../task/ending/look-at-sockets.ts';
import '../task/ending/release-from-fuse.ts';
import '../task/exec/find-exec-users.ts';
import '../task/exec/follow-exec.ts';
import '../task/exec/read-execs.ts';
import '../task/explain-unreachable.ts';
import '../task/inspect-command.ts';
import '../task/name-inputs.ts';
import '../task/outputs/task-outputs.ts';
import '../task/plan-package.ts';
import '../task/progress/task-progress.ts';
import '../task/records/list-tasks.ts';
import '../task/reports/open-report.ts';
import '../task/reports/settle-report.ts';
import '../task/resolve-devices.ts';
import '../task/resolve-inputs.ts';
import '../task/resolve-throttles.ts';
import '../task/streams/capture.ts';
import '../task/streams/terminal-streams.ts';
import './exec-command.ts';
import './open-code.ts';
import './open-members.ts';
import './start-task.ts';
import './wait-for-task.ts';
