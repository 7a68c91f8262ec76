/** Where a task's output goes while it runs. Whatever a caller's sink does, the task goes on: what the sink did not take is counted. */

/**
 * Takes chunks in order. A promise asks that no more are given until it resolves. A sink that throws, or whose promise rejects, is
 * given nothing more.
 */
export interface OutputSink {
  write(chunk: Uint8Array): void | Promise<void>;
}

/** Hears of the bytes that a sink did not take. */
export interface SinkReport {
  /** The sink did not take so many of the bytes that it was given. */
  lost(bytes: number): void;
  /** Why the sink takes nothing more. Called at most once. */
  failed(error: unknown): void;
}

/** A caller's sink, made safe. */
export interface OpenSink {
  /** Never throws. A promise asks that no more are given until it resolves; it never rejects. */
  write(chunk: Uint8Array): void | Promise<void>;
  /** Resolves when the sink has taken or lost every byte that it was given; undefined when it has already. */
  settled(): Promise<void> | undefined;
  /** Nothing more will be written. */
  close(): void;
}
