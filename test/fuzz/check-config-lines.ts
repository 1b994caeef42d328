import { type ConfigLine, ConfigLineDecoder } from '../../src/codec/config-line/config-line-decoder.js'
import { demand } from './demand.js'

/** Decodes config lines whole and cut; throws for whatever must hold for any bytes and does not. */
export function checkConfigLines(bytes: Uint8Array, cut: number): ConfigLine[] {
  const whole = decode([bytes])
  const at = bytes.length === 0 ? 0 : cut % bytes.length
  const inPieces = decode([bytes.subarray(0, at), bytes.subarray(at)])
  demand(JSON.stringify(whole) === JSON.stringify(inPieces), 'a cut changes the result')
  const lineCount = Buffer.from(bytes).toString('latin1').split('\n').length
  demand(whole.length <= lineCount, 'more lines come out than go in')
  for (const line of whole) if (line.kind !== 'clear') checkLine(line)
  return whole
}

function checkLine(line: Exclude<ConfigLine, { kind: 'clear' }>): void {
  if (line.kind === 'bad-structure') {
    demand(line.reason !== '', 'the reason of a refusal is not told')
    return
  }
  for (const { family, count, words, prefixLengths } of [line.ipv4, line.ipv6]) {
    const longest = family === 4 ? 32 : 128
    demand(
      prefixLengths.length === count && words.length === count * (family === 4 ? 1 : 4),
      'columns differ',
    )
    demand(
      prefixLengths.every((length) => length >= 1 && length <= longest),
      'a length is out of range',
    )
  }
  const taken = line.ipv4.count + line.ipv6.count
  demand(
    line.kind === 'replace' ? taken === line.entryCount : taken < line.entryCount,
    'addresses are miscounted',
  )
  demand(line.entryCount > 0, 'a list of nothing passes')
  // Complete pairs taken away, no quote may be left inside.
  demand(!line.message.replace(/\\[\s\S]/g, '').includes('"'), 'a message holds its own end')
}

function decode(chunks: readonly Uint8Array[]): ConfigLine[] {
  const lines: ConfigLine[] = []
  const decoder = new ConfigLineDecoder((line) => lines.push(line))
  for (const chunk of chunks) decoder.push(chunk)
  decoder.end()
  return lines
}
