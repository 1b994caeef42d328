import type { ConnectionSnapshot } from '../../app/control-protocol.js'
import { formatDuration } from '../../codec/duration.js'
import { escapeControl } from '../../codec/escape.js'

const HEADINGS = ['address', 'port', 'class', 'state', 'age', 'stutter', 'tls', 'in', 'out', 'lists']
/** Columns of numbers, which are right-aligned. */
const RIGHT_ALIGNED = new Set([1, 4, 5, 7, 8])

/** A table with a header, columns two blanks apart, each line with its line end. */
export function renderConnections(rows: readonly ConnectionSnapshot[]): string {
  const lines = [HEADINGS, ...rows.map(cellsOf)]
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((cells) => cells[column]!.length)))
  return lines
    .map((cells) =>
      cells
        .map((cell, column) =>
          RIGHT_ALIGNED.has(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
        )
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('')
}

function cellsOf(row: ConnectionSnapshot): string[] {
  return [
    row.ip,
    String(row.port),
    row.class,
    row.state,
    formatDuration(row.ageSec),
    row.stutterSec === 0 ? '-' : `${row.stutterSec}s`,
    row.tls ? 'yes' : 'no',
    String(row.bytesIn),
    String(row.bytesOut),
    row.lists.length === 0 ? '-' : row.lists.join(','),
  ].map((cell) => escapeControl(cell))
}
