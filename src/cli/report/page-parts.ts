import { type Html, html } from './html.js'

/** A card of the page; a wide one takes the whole row. */
export function section(title: string, body: Html | readonly Html[], width: 'half' | 'wide' = 'half'): Html {
  return html`<section${width === 'wide' ? html` class="wide"` : undefined}><h2>${title}</h2>${body}</section>
`
}

/** Shown when there is no data. */
export function nothing(text: string): Html {
  return html`<p class="dim">${text}</p>`
}

/** One cell of `table`. */
export interface Cell {
  value: string | Html
  isNumber?: boolean
}

/** A table that becomes a stack of rows on a telephone. */
export function table(heads: readonly string[], rows: readonly (readonly Cell[])[]): Html {
  const isNumber = (column: number): boolean => rows.some((row) => row[column]?.isNumber === true)
  const head = heads.map((text, column) =>
    isNumber(column) ? html`<th class="number">${text}</th>` : html`<th>${text}</th>`,
  )
  const body = rows.map((row) => {
    const cells = row.map(({ value, isNumber: right }, column) =>
      right === true
        ? html`<td class="number" data-head="${heads[column]}">${value}</td>`
        : html`<td data-head="${heads[column]}">${value}</td>`,
    )
    return html`<tr>${cells}</tr>`
  })
  return html`<table class="stack"><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table>`
}
