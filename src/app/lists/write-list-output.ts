/** `--output`: the blocked networks as a file that other programs read. */
import { cidrChunks, countCidrs, formatCidrs } from '../../ip/cidr-text.js'
import type { IpRangeSet } from '../../ip/ip-range-set.js'
import { EMPTY_IPV4_SET } from '../../ip/ipv4-range-set.js'
import { EMPTY_IPV6_SET } from '../../ip/ipv6-range-set.js'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { replaceFile } from '../../platform/replace-file.js'
import { BLOCKED_TABLE } from './blocked-table.js'

/** Forms of `--output`. */
export const OUTPUT_FORMATS = ['plain', 'pf', 'nft', 'ipset', 'json'] as const
export type OutputFormat = (typeof OUTPUT_FORMATS)[number]

export interface OutputList {
  name: string
  set: IpRangeSet
}

/** Takes bytes at once; they may be overwritten afterwards. */
export type OutputWriter = (bytes: Uint8Array) => void

const FILE_MODE = 0o644
const LF = 0x0a

/**
 * Writes the union of all lists to a file, replaced whole, or to a writer:
 * `plain` and `pf` one network a line (pf adds a comment: `table <spamd> persist file "FILE"`), `nft` a script for `nft -f`,
 * `ipset` one for `ipset restore`, `json` one object with each list by itself. Errors: `ERR_OUTPUT_WRITE`.
 */
export async function writeListOutput(
  target: string | OutputWriter,
  format: OutputFormat,
  union: IpRangeSet,
  lists: readonly OutputList[],
): Promise<void> {
  const chunks = await renderOutput(format, union, lists)
  if (typeof target !== 'string') {
    for (const chunk of chunks) target(chunk)
    return
  }
  try {
    await writeToFile(target, chunks)
  } catch (error) {
    throw new AppError('ERR_OUTPUT_WRITE', `cannot write ${target}: ${reasonOf(error)}`, { cause: error })
  }
}

async function writeToFile(path: string, chunks: Iterable<Uint8Array>): Promise<void> {
  const replacement = await replaceFile(path, FILE_MODE)
  try {
    for (const chunk of chunks) await replacement.write(chunk)
    // It can be made again at any time.
    await replacement.commit('quick')
  } finally {
    await replacement.discard()
  }
}

async function renderOutput(
  format: OutputFormat,
  union: IpRangeSet,
  lists: readonly OutputList[],
): Promise<Iterable<Uint8Array>> {
  switch (format) {
    case 'plain':
      return cidrChunks(union)
    case 'pf':
      return renderPf(union)
    case 'nft': {
      const { nftReplaceScript } = await import('../../firewall/nft-script.js')
      return nftReplaceScript(BLOCKED_TABLE, formatCidrs(union))
    }
    case 'ipset':
      return renderIpset(union)
    case 'json':
      return renderJson(lists)
  }
}

function* renderPf(union: IpRangeSet): Generator<Uint8Array> {
  yield Buffer.from('# networks of the block lists, for: table <spamd> persist file "THIS FILE"\n')
  yield* cidrChunks(union)
}

function* renderIpset(union: IpRangeSet): Generator<Uint8Array> {
  const counts = countCidrs(union)
  for (const [setName, family, set, count] of [
    ['spamd', 'inet', { ipv4: union.ipv4, ipv6: EMPTY_IPV6_SET }, counts.ipv4],
    ['spamd6', 'inet6', { ipv4: EMPTY_IPV4_SET, ipv6: union.ipv6 }, counts.ipv6],
  ] as const) {
    const size = `maxelem ${Math.max(65_536, count)}`
    yield Buffer.from(`create ${setName} hash:net family ${family} ${size} -exist\nflush ${setName}\n`)
    const verb = Buffer.from(`add ${setName} `)
    for (const chunk of cidrChunks(set)) yield prefixLines(chunk, verb)
  }
}

function* renderJson(lists: readonly OutputList[]): Generator<Uint8Array> {
  yield Buffer.from('{"lists":[')
  let separator = ''
  for (const { name, set } of lists) {
    yield Buffer.from(`${separator}{"name":${JSON.stringify(name)},"cidrs":[`)
    separator = ',\n'
    let isFirst = true
    for (const chunk of cidrChunks(set)) {
      const text = Buffer.from(chunk).toString('latin1').trimEnd()
      yield Buffer.from(`${isFirst ? '' : ','}"${text.replaceAll('\n', '","')}"`)
      isFirst = false
    }
    yield Buffer.from(']}')
  }
  yield Buffer.from(']}\n')
}

function prefixLines(lines: Uint8Array, verb: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = []
  for (let start = 0; start < lines.length; ) {
    const end = lines.indexOf(LF, start) + 1
    parts.push(verb, lines.subarray(start, end))
    start = end
  }
  return Buffer.concat(parts)
}
