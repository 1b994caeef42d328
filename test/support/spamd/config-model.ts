/**
 * The block lists that a daemon should have after the config lines of a transcript, by the grammar of config-lines.md
 * with our rule that a bad line changes nothing. Written independently of src, to check it.
 */
export interface ModelList {
  name: string
  message: string
  ranges: { first: bigint; last: bigint; family: 4 | 6; isMapped?: true }[]
}

/** The result of one line. */
export type ModelOutcome = 'replaced' | 'cleared' | 'refused' | 'ignored'

export class ConfigModel {
  readonly lists: ModelList[] = []
  /** True if the original reads a line of the last `apply` differently: the end of a message, or an address. */
  departs = false

  /** Applies everything that one connection sent. */
  apply(data: string): ModelOutcome[] {
    this.departs = false
    return data
      .split('\n')
      .filter((line) => line.length > 1)
      .map((line) => this.#applyLine(line))
  }

  /** All lists that contain the IPv4 or IPv6 address, in order. */
  match(ip: string): ModelList[] {
    const address = parseAddress(ip)
    return this.lists.filter((list) =>
      list.ranges.some(
        (range) =>
          range.family === address?.family && range.first <= address.value && address.value <= range.last,
      ),
    )
  }

  put(name: string, message: string, cidrs: readonly string[]): void {
    this.#replace({ name, message, ranges: cidrs.map((cidr) => parseRange(cidr)!) })
  }

  #replace(list: ModelList): void {
    const known = this.lists.find(({ name }) => name === list.name)
    if (known === undefined) this.lists.push(list)
    else Object.assign(known, list)
  }

  #applyLine(received: string): ModelOutcome {
    // As in C, a NUL ends the line; text after the digits of a prefix length is ignored.
    const [line = ''] = received.split('\0')
    const semicolon = line.indexOf(';')
    if (semicolon < 0) return 'refused'
    const name = line.slice(0, semicolon)
    const rest = line.slice(semicolon + 1)
    if (rest === '') {
      const known = this.lists.find((list) => list.name === name)
      if (known === undefined) return 'ignored'
      known.ranges = []
      return 'cleared'
    }
    const message = /^"((?:\\[\s\S]|[^"\\])*)";/.exec(rest)
    if ((message?.[0].length ?? -1) !== originalMessageLength(rest)) this.departs = true
    if (message === null) return 'refused'
    if (/;::ffff:[^;/]*\/96\b/i.test(rest)) this.departs = true
    const ranges = parseFamilies(rest.slice(message[0].length).split(';'))
    if (ranges === undefined) return 'refused'
    this.#replace({ name, message: message[1]!, ranges })
    return 'replaced'
  }
}

/**
 * Length of the message as the original finds it, its `;` included; -1 if it finds none. In the original, a backslash
 * that escaped a quote still affects the next character.
 */
function originalMessageLength(rest: string): number {
  if (!rest.startsWith('"')) return -1
  let isEscaped = false
  for (let index = 1; index < rest.length; index += 1) {
    const character = rest[index]
    if (character === '\\') isEscaped = !isEscaped
    else if (character !== '"') isEscaped = false
    else if (!isEscaped) return rest[index + 1] === ';' ? index + 2 : -1
  }
  return -1
}

function parseFamilies(items: string[]): ModelList['ranges'] | undefined {
  const ranges: ModelList['ranges'] = []
  const seen = new Set<string>()
  let index = 0
  while (index < items.length) {
    const family = items[index]!
    index += 1
    if (family === '') continue
    if ((family !== 'inet' && family !== 'inet6') || seen.has(family)) return undefined
    seen.add(family)
    const countText = items[index] ?? ''
    index += 1
    if (!/^\s*\+?[0-9]+$/.test(countText)) return undefined
    const count = Number(countText)
    for (let taken = 0; taken < count; taken += 1, index += 1) {
      const range = parseRange(items[index] ?? '')
      const written = range?.isMapped === true ? 6 : range?.family
      if (range === undefined || written !== (family === 'inet' ? 4 : 6)) return undefined
      ranges.push(range)
    }
  }
  return ranges.length === 0 ? undefined : ranges
}

function parseRange(cidr: string): ModelList['ranges'][number] | undefined {
  const parts = /^([^/]+)\/\s*\+?([0-9]+)/.exec(cidr)
  const address = parts === null ? undefined : parseAddress(parts[1]!)
  if (parts === null || address === undefined) return undefined
  const bits = address.family === 4 ? 32 : 128
  const length = Number(parts[2])
  if (length < 1 || length > bits) return undefined
  const mapped = address.value >> 32n === 0xffffn ? length - 96 : -1
  if (mapped === 0) return undefined
  if (address.family === 6 && mapped > 0) {
    const range = parseRange(
      `${[24n, 16n, 8n, 0n].map((shift) => (address.value >> shift) & 255n).join('.')}/${mapped}`,
    )
    return range && { ...range, isMapped: true }
  }
  const size = 1n << BigInt(bits - length)
  const first = (address.value / size) * size
  return { first, last: first + size - 1n, family: address.family }
}

function parseAddress(text: string): { value: bigint; family: 4 | 6 } | undefined {
  if (/^[0-9]{1,3}(\.[0-9]{1,3}){3}$/.test(text)) {
    const octets = text.split('.').map(Number)
    if (octets.some((octet) => octet > 255)) return undefined
    return { value: octets.reduce((sum, octet) => sum * 256n + BigInt(octet), 0n), family: 4 }
  }
  if (!text.includes(':') || !URL.canParse(`http://[${text}]/`)) return undefined
  const [head = '', tail] = new URL(`http://[${text}]/`).hostname.slice(1, -1).split('::')
  const groupsOf = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const first = groupsOf(head)
  const last = tail === undefined ? [] : groupsOf(tail)
  const groups = [...first, ...new Array<string>(8 - first.length - last.length).fill('0'), ...last]
  return { value: BigInt(`0x${groups.map((group) => group.padStart(4, '0')).join('')}`), family: 6 }
}
