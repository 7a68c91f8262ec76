/** Sinks for a task's output while the task runs. Whatever a caller's sink does, the task goes on; bytes that the sink did not take are counted. */

/** Takes chunks in order; no chunk follows while a returned promise is pending. A sink that throws, or whose promise rejects, gets nothing more. */
export interface OutputSink {
  write(chunk: Uint8Array): void | Promise<void>;
}

/** Reports the bytes that a sink did not take. */
export interface SinkReport {
  /** Called with the number of bytes that the sink got but did not take. */
  lost(bytes: number): void;
  /** Called at most once, with the reason why the sink takes nothing more. */
  failed(error: unknown): void;
}

/** A caller's sink, made safe. */
export interface OpenSink {
  /** Writes a chunk; never throws. While a returned promise is pending, write nothing more; it never rejects. */
  write(chunk: Uint8Array): void | Promise<void>;
  /** Resolves when the sink has taken or lost every byte that it got; undefined if it already has. */
  settled(): Promise<void> | undefined;
  /** Call it when nothing more will be written. */
  close(): void;
}
