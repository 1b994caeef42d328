import type { ListReport } from '../../app/lists/refresh-report.js'
import { countText } from '../../codec/count-text.js'
import { escapeControl } from '../../codec/escape.js'

/** Redrawing more often only takes time. */
const REDRAW_MS = 100
/** A name column that leaves space for the rest of the line. */
const MAX_NAME_WIDTH = 32

/** A terminal: its size and a way to write to it. */
export interface ProgressTerminal {
  rows: number
  columns: number
  write(text: string): void
  monotonicMs(): number
}

/**
 * One line per list on a terminal, redrawn in place while the lists arrive, gone when `clear` is called. With
 * more lists than the terminal has rows only the unfinished ones that fit are shown.
 */
export class SetupProgress {
  readonly #terminal: ProgressTerminal
  readonly #states = new Map<string, string>()
  #drawnLines = 0
  #drawnAtMs = Number.NEGATIVE_INFINITY

  constructor(terminal: ProgressTerminal, lists: readonly { name: string; colour: string }[]) {
    this.#terminal = terminal
    for (const { name } of lists) this.#states.set(name, 'waiting')
  }

  /** Bytes received so far. */
  received(name: string, receivedBytes: number): void {
    this.#states.set(name, `${formatBytes(receivedBytes)} received`)
    this.#draw()
  }

  settled(report: ListReport): void {
    const entries =
      report.entries === undefined ? 'no entries' : countText(report.entries, 'entry', 'entries')
    this.#states.set(report.name, `${entries}, ${report.status}`)
    this.#draw()
  }

  /** Removes the lines, so that something else can be written. */
  clear(): void {
    if (this.#drawnLines > 0) this.#terminal.write(`\x1b[${this.#drawnLines}A\x1b[J`)
    this.#drawnLines = 0
  }

  #draw(): void {
    const nowMs = this.#terminal.monotonicMs()
    if (nowMs - this.#drawnAtMs < REDRAW_MS) return
    this.#drawnAtMs = nowMs
    this.clear()
    const width = Math.min(
      MAX_NAME_WIDTH,
      Math.max(0, ...[...this.#states.keys()].map((name) => name.length)),
    )
    const lines = [...this.#states]
      .slice(0, Math.max(1, this.#terminal.rows - 1))
      .map(([name, state]) => `${escapeControl(name).slice(0, width).padEnd(width)}  ${state}`)
      .map((line) => line.slice(0, this.#terminal.columns - 1))
    this.#terminal.write(lines.map((line) => `${line}\n`).join(''))
    this.#drawnLines = lines.length
  }
}

function formatBytes(count: number): string {
  if (count < 10_000) return countText(count, 'byte')
  return count < 10_000_000 ? `${Math.round(count / 1000)} kB` : `${Math.round(count / 1_000_000)} MB`
}
