import type { DebugOutput } from '../../src/daemon/debug-output.js'

/** Collects lines. */
export class MemoryDebugOutput implements DebugOutput {
  readonly lines: { stream: 'out' | 'err'; line: string }[] = []

  out(line: string): void {
    this.lines.push({ stream: 'out', line })
  }

  err(line: string): void {
    this.lines.push({ stream: 'err', line })
  }
}
