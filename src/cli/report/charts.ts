/**
 * Charts as inline SVG. Numbers are also shown as text, so that they can be read on a telephone and on paper.
 */
import { type Html, html } from './html.js'

/** Units of the drawings, which are stretched to the width of the page. */
const WIDTH = 1000
const HEIGHT = 100

export interface Bar {
  /** Tooltip of the bar. */
  label: string
  value: number
}

export interface BarChart {
  title: string
  /** Of the largest bar. */
  maxLabel: string
  bars: readonly Bar[]
  /** Labels below the first, the middle and the last bar. */
  axis: readonly [string, string, string]
  /** `series-1` to `series-5`. */
  series: number
  /** A line at a position between 0 and 1, with its label. */
  line?: { at: number; label: string } | undefined
}

/** A chart of vertical bars. */
export function barChart({ title, maxLabel, bars, axis, series, line }: BarChart): Html {
  const largest = Math.max(1, ...bars.map(({ value }) => value))
  const step = WIDTH / Math.max(1, bars.length)
  const rects = bars.map(({ label, value }, index) => {
    // Every value must be visible, however small.
    const height = value === 0 ? 0 : Math.max(1.5, (value / largest) * HEIGHT)
    return html`<rect class="series-${series}" x="${round(index * step + step * 0.1)}" y="${round(HEIGHT - height)}" width="${round(step * 0.8)}" height="${round(height)}"><title>${label}</title></rect>`
  })
  const mark =
    line === undefined
      ? undefined
      : html`<line class="mark" x1="${round(line.at * WIDTH)}" x2="${round(line.at * WIDTH)}" y1="0" y2="${HEIGHT}"/>`
  const markLabel =
    line === undefined ? undefined : html`<span class="mark-label">&#9478; ${line.label}</span>`
  return html`<figure><figcaption>${title}${markLabel}</figcaption><div class="max">${maxLabel}</div>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${title}">${rects}<line class="axis" x1="0" x2="${WIDTH}" y1="${HEIGHT}" y2="${HEIGHT}"/>${mark}</svg>
<div class="ticks"><span>${axis[0]}</span><span>${axis[1]}</span><span>${axis[2]}</span></div></figure>`
}

export interface Row extends Bar {
  /** The number with its unit. */
  text: string
  series: number
}

/** Horizontal bars with their numbers, one per row, all to the same scale. */
export function rowChart(title: string, rows: readonly Row[]): Html {
  const largest = Math.max(1, ...rows.map(({ value }) => value))
  const lines = rows.map(({ label, value, text, series }) => {
    const width = value === 0 ? 0 : Math.max(3, (value / largest) * WIDTH)
    return html`<div class="row"><span class="row-label">${label}</span><svg viewBox="0 0 ${WIDTH} 10" preserveAspectRatio="none" aria-hidden="true"><rect class="series-${series}" width="${round(width)}" height="10"/></svg><span class="row-value">${text}</span></div>`
  })
  return html`<figure><figcaption>${title}</figcaption>${lines}</figure>`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
