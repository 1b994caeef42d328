/** The log lines of a connection's beginning and end, exactly as existing log parsers know them. */
import { escapeControl } from '../../codec/escape.js'
import type { BlockListMatch } from '../seams.js'

/** The names share a buffer of this size in the original, terminator included. Source: loglists() of spamd.c. */
const NAME_BUFFER_BYTES = 80
const ELLIPSIS = ' ...'

/** The lists' names, a space before each; ` ...` for each name beyond about 75 characters. */
export function formatListNames(lists: readonly BlockListMatch[]): string {
  let names = ''
  for (const { listName } of lists) {
    const name = escapeControl(listName)
    const fits = names.length + name.length + 1 < NAME_BUFFER_BYTES - ELLIPSIS.length
    names = `${names}${fits ? ` ${name}` : ELLIPSIS}`.slice(0, NAME_BUFFER_BYTES - 1)
  }
  return names
}

/** `ADDR: connected (TOTAL/BLACK)`, with the lists of a block-listed client. */
export function connectedLine(
  clientIp: string,
  counts: { total: number; black: number },
  listNames: string | undefined,
): string {
  const lists = listNames === undefined ? '' : `, lists:${listNames}`
  return `${clientIp}: connected (${counts.total}/${counts.black})${lists}`
}

/** `ADDR: disconnected after N seconds.`, with the lists of a block-listed client. */
export function disconnectedLine(
  clientIp: string,
  durationSec: number,
  listNames: string | undefined,
): string {
  const lists = listNames === undefined ? '' : ` lists:${listNames}`
  return `${clientIp}: disconnected after ${durationSec} seconds.${lists}`
}
