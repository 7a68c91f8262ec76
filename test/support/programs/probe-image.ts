/** The image of every probe: busybox, the probe program, and files that only a hostile image has. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeBusyboxTar } from '../stacks/busybox-stack.ts';

const SOURCES = fileURLToPath(new URL('../../fixtures/probes', import.meta.url));
/** The paths of dynamic linkers. */
const INTERPRETER =
  process.arch === 'arm64' ? 'lib/ld-linux-aarch64.so.1' : 'lib64/ld-linux-x86-64.so.2';

export interface ProbeImage {
  /** The root filesystem as a folder. */
  readonly rootfs: string;
  /** The root filesystem as an uncompressed tar. */
  readonly tar: string;
  /** The probe program, to run on the host. */
  readonly program: string;
}

/** Compiles the probe programs and makes the image below `folder`. Requires gcc, and root for its device node. */
export async function makeProbeImage(folder: string): Promise<ProbeImage> {
  const [rootfs, tar, program] = [
    join(folder, 'rootfs'),
    join(folder, 'image.tar'),
    join(folder, 'probe'),
  ];
  mkdirSync(rootfs, { recursive: true });
  execFileSync('tar', ['-xf', '-', '-C', rootfs], { input: await makeBusyboxTar() });
  compileProbes(program);
  const loader = join(rootfs, INTERPRETER);
  mkdirSync(dirname(loader), { recursive: true });
  const alone = ['-static', '-nostdlib', '-ffreestanding', '-fno-stack-protector', '-O1'];
  compile(loader, [...alone, join(SOURCES, 'interpreter.c')]);
  for (const [name, mode] of [
    ['probe', 0o755],
    ['probe-setuid', 0o4755],
    ['probe-capable', 0o755],
  ] as const) {
    copyFileSync(program, join(rootfs, 'bin', name));
    chmodSync(join(rootfs, 'bin', name), mode);
  }
  execFileSync(program, ['give-capability', join(rootfs, 'bin/probe-capable')]);
  mkdirSync(join(rootfs, 'nodes'));
  execFileSync('mknod', ['-m', '666', join(rootfs, 'nodes/kmsg'), 'c', '1', '11']);
  // Runtimes mistook these for nodes of their own (CVE-2025-31133, CVE-2025-52565).
  for (const name of ['null', 'console'])
    symlinkSync('/proc/sys/kernel/core_pattern', join(rootfs, 'dev', name));
  execFileSync('tar', [
    '--xattrs',
    '--xattrs-include=security.*',
    '--numeric-owner',
    '-cf',
    tar,
    '-C',
    rootfs,
    '.',
  ]);
  return { rootfs, tar, program };
}

/** Compiles only the probe program, for attacks from the host. Requires gcc. */
export function compileProbes(output: string): void {
  compile(output, ['-static', '-O1', ...probeSources()]);
}

function probeSources(): readonly string[] {
  return readdirSync(SOURCES)
    .filter((name) => name.endsWith('.c') && name !== 'interpreter.c')
    .map((name) => join(SOURCES, name));
}

function compile(output: string, args: readonly string[]): void {
  rmSync(output, { force: true });
  execFileSync('gcc', ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-o', output, ...args], {
    stdio: 'pipe',
  });
}
