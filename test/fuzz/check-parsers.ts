import { isIPv4, isIPv6 } from 'node:net'
import { createListParser, type ListSummary } from '../../src/codec/lists/list-lines.js'
import { parseSpamdConf } from '../../src/codec/spamd-conf/spamd-conf.js'
import { canonicalIp } from '../../src/ip/address.js'
import { parseCidr } from '../../src/ip/cidr.js'
import { formatCidrs } from '../../src/ip/cidr-text.js'
import { RangeTable } from '../../src/ip/range-table.js'
import { demand } from './demand.js'

/** Text that every accepted line must hold: an address, a short form with a prefix, or a hexadecimal one. */
const ADDRESS_LIKE = /[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|::|:[0-9a-f]*:|[0-9][0-9.]*\/|0x[0-9a-f]+\//i
/** One input must be dealt with in this time; the whole corpus is far below a millisecond each. */
const MAX_INPUT_MS = 2000

/** Parses a list whole; throws for whatever must hold for any bytes and does not. */
export function checkList(bytes: Uint8Array, cut: number, column: number | undefined): ListSummary {
  const startMs = performance.now()
  const whole = parse([bytes], column)
  const at = bytes.length === 0 ? 0 : cut % bytes.length
  const inPieces = parse([bytes.subarray(0, at), bytes.subarray(at)], column)
  demand(describe(whole) === describe(inPieces), 'a cut changes the result')
  const excluded = whole.notes
    .filter(({ kind }) => kind === 'excluded' || kind === 'nomatch')
    .reduce((sum, { count }) => sum + count, 0)
  const counted = whole.accepted + whole.ignored + whole.unknown + excluded
  demand(counted === whole.lineCount, 'not every line is counted once')
  if (column === undefined && excluded === 0) checkLines(bytes, whole)
  const message = `${whole.failure?.message ?? ''}${whole.firstUnknown?.excerpt ?? ''}`
  demand(!/[\u0000-\u001f\u007f-\u009f]/.test(message), 'a message holds control characters')
  demand(performance.now() - startMs < MAX_INPUT_MS, 'an input takes too long')
  return whole
}

/** Parses a spamd.conf; throws for whatever must hold for any bytes and does not. */
export function checkConf(bytes: Uint8Array): void {
  const startMs = performance.now()
  const { lists, diagnostics } = parseSpamdConf(bytes, { fileName: 'x' })
  const lines = Buffer.from(bytes).toString('latin1').split('\n')
  for (const { line, column, message, fix, severity } of diagnostics) {
    demand(line >= 1 && line <= lines.length, 'a finding is outside of the file')
    demand(column >= 1 && column <= lines[line - 1]!.length + 1, 'a finding is outside of its line')
    demand(!/[\u0000-\u001f\u007f-\u009f]/.test(message + fix), 'a finding holds control characters')
    demand(message !== '' && fix !== '' && severity !== undefined, 'a finding says nothing')
  }
  for (const list of lists) {
    if (list.isUsable)
      demand(list.colour === 'white' || list.message !== undefined, 'a black list has no message')
    else demand(diagnostics.includes(list.diagnostic), 'the reason of a refusal is not told')
  }
  demand(performance.now() - startMs < MAX_INPUT_MS, 'an input takes too long')
}

/** Whole lines that Node's own address parser understands must be in the set; the rest must look like one. */
function checkLines(bytes: Uint8Array, summary: ListSummary): void {
  const table = new RangeTable(summary.set)
  let addressLike = 0
  let plain = 0
  const isZone = /^[ \t]*[$:]/m.test(Buffer.from(bytes).toString('latin1'))
  for (const line of Buffer.from(bytes).toString('latin1').split('\n')) {
    // A zone file may leave out octets at the end: 192.0.2 is 192.0.2.0/24.
    if ((isZone ? /[0-9:]/ : ADDRESS_LIKE).test(line)) addressLike += 1
    const text = line.replace(/\r$/, '')
    const [address = '', prefix] = text.split('/')
    if (!(isIPv4(address) || isIPv6(address)) || address.includes('%')) continue
    if (prefix !== undefined && !/^[1-9][0-9]?$/.test(prefix)) continue
    const cidr = parseCidr(text)
    if (cidr === undefined || cidr.prefixLength === 0) continue
    // In a zone file a colon begins a value, of the entries below or of the address in front of it.
    if (isZone && (text.startsWith(':') || (address.includes(':') && address.includes('.')))) continue
    // Zone files refuse host bits, and an IPv4 address in IPv6 takes no prefix length beyond it.
    if (cidr.hadHostBits && isZone) continue
    if (cidr.family === 6 && cidr.prefixLength < 96 && address.includes('.')) continue
    if (cidr.family === 6 && !canonicalIp(address)!.includes(':')) continue
    plain += 1
    demand(table.has(canonicalIp(cidr.address)!), `not in the set: ${text}`)
    if (prefix === undefined) demand(table.has(canonicalIp(address)!), `not in the set: ${text}`)
  }
  demand(summary.accepted >= plain, 'plain lines are not accepted')
  demand(summary.accepted <= addressLike, 'a line without an address is accepted')
}

function parse(chunks: Uint8Array[], column: number | undefined): ListSummary {
  const parser = createListParser({ column })
  for (const chunk of chunks) parser.push(chunk)
  return parser.end()
}

function describe(summary: ListSummary): string {
  const { ipv4, ipv6 } = formatCidrs(summary.set)
  const cidrs = [ipv4, ipv6].map(({ text }) => Buffer.from(text).toString('latin1'))
  return JSON.stringify([cidrs, { ...summary, set: undefined }])
}
