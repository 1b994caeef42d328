/**
 * Parses addresses as pfctl does: a token gives the addresses of an interface, a numeric address, or those of a name.
 * Source: observed behaviour of OpenBSD's pfctl, pfctl.md section 2. Written independently of src/, which it tests.
 */

/**
 * @typedef {{ family: 4 | 6, bytes: number[], length: number, not: boolean }} Address
 * @typedef {{ address: string, length: number, broadcast?: string, peer?: string }} InterfaceAddress
 * @typedef {{ interfaces: Record<string, InterfaceAddress[]>, groups: Record<string, string[]> }} Machine
 * @typedef {{
 *   machine: Machine, hosts: Record<string, string[]>, useDns: boolean, isStrict: boolean,
 *   stderr: string[], dnsAsked: string[], resolverRefused: string[],
 * }} Resolver
 */

export const EMPTY_MACHINE = { interfaces: {}, groups: {} }

/** strtonum(3): the number or the reason, for decimal text that may begin with blanks or a sign. */
export function toNumber(text, least, most) {
  if (!/^[ \t\n\v\f\r]*[+-]?[0-9]+$/.test(text)) return { fault: 'invalid' }
  const value = Number(text)
  if (value < least) return { fault: 'too small' }
  return value > most ? { fault: 'too large' } : { value }
}

/** Dotted quad with decimal numbers, also with leading zeros; short and hexadecimal forms only for networks. */
function parseIpv4(text, isNetwork) {
  if (isNetwork && /^0x[0-9a-f]{1,8}$/i.test(text)) {
    // Digits from the left: `0xa` is 160.
    return [2, 4, 6, 8].map((at) => Number.parseInt(text.slice(at, at + 2).padEnd(2, '0'), 16))
  }
  if (!/^[0-9]+(\.[0-9]+){0,3}$/.test(text)) return undefined
  const bytes = text.split('.').map(Number)
  if (bytes.some((byte) => byte > 255) || (!isNetwork && bytes.length !== 4)) return undefined
  return [...bytes, 0, 0, 0].slice(0, 4)
}

function parseIpv6(text) {
  const halves = text.split('::')
  if (halves.length > 2 || !text.includes(':')) return undefined
  const groupsOf = (half) => {
    if (half === '') return []
    const groups = []
    for (const [index, part] of half.split(':').entries()) {
      if (part.includes('.') && index === half.split(':').length - 1) {
        const quad = parseIpv4(part, false)
        if (quad === undefined) return undefined
        groups.push(quad[0] * 256 + quad[1], quad[2] * 256 + quad[3])
      } else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16))
      else return undefined
    }
    return groups
  }
  const [head, tail] = [groupsOf(halves[0]), halves.length === 2 ? groupsOf(halves[1]) : []]
  if (head === undefined || tail === undefined) return undefined
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  return [...head, ...Array(missing).fill(0), ...tail].flatMap((group) => [group >> 8, group & 255])
}

/** Numeric text to an address, or undefined. */
export function parseNumeric(text, isNetwork = false) {
  const ipv4 = parseIpv4(text, isNetwork)
  if (ipv4 !== undefined) return { family: 4, bytes: ipv4 }
  const ipv6 = parseIpv6(text)
  return ipv6 === undefined ? undefined : { family: 6, bytes: ipv6 }
}

/** inet_ntop(3), which writes IPv4-compatible and IPv4-mapped addresses with a dotted quad. */
function formatAddress({ family, bytes }) {
  if (family === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, index) => bytes[index * 2] * 256 + bytes[index * 2 + 1])
  let [bestAt, bestLength] = [-1, 1]
  for (let start = 0; start < 8; start += 1) {
    let length = 0
    while (start + length < 8 && groups[start + length] === 0) length += 1
    if (length > bestLength) [bestAt, bestLength] = [start, length]
    start += length
  }
  const isDotted =
    bestAt === 0 &&
    (bestLength === 6 || (bestLength === 7 && groups[7] !== 1) || (bestLength === 5 && groups[5] === 0xffff))
  const parts = groups.map((group) => group.toString(16))
  if (isDotted) parts.splice(6, 2, bytes.slice(12).join('.'))
  if (bestAt < 0) return parts.join(':')
  const tailAt = isDotted ? Math.min(bestAt + bestLength, 6) : bestAt + bestLength
  return `${parts.slice(0, bestAt).join(':')}::${parts.slice(tailAt).join(':')}`
}

/** Address with `/length` unless it is a host, preceded by `!` if negated. */
export function formatEntry(address) {
  const hostLength = address.family === 4 ? 32 : 128
  const suffix = address.length === hostLength ? '' : `/${address.length}`
  return `${address.not ? '!' : ''}${formatAddress(address)}${suffix}`
}

/** Reads what `formatEntry` writes. */
export function parseEntry(text) {
  const not = text.startsWith('!')
  const [address, length] = text.replace(/^!/, '').split('/')
  const parsed = parseNumeric(address)
  const hostLength = parsed.family === 4 ? 32 : 128
  return { ...parsed, length: length === undefined ? hostLength : Number(length), not }
}

/** Clears the bits after the prefix length. */
export function maskBits(address) {
  const bytes = address.bytes.map((byte, index) => {
    const kept = Math.min(8, Math.max(0, address.length - index * 8))
    return byte & (0xff00 >> kept) & 0xff
  })
  return { ...address, bytes }
}

const hostLengthOf = (address) => (address.family === 4 ? 32 : 128)
const isLinkLocal = ({ family, bytes }) => family === 6 && bytes[0] === 0xfe && (bytes[1] & 0xc0) === 0x80

function interfaceAddresses(resolver, text, mask) {
  let name = text
  const flags = new Set()
  for (let at = name.lastIndexOf(':'); at >= 0; at = name.lastIndexOf(':')) {
    const modifier = name.slice(at + 1)
    if (!['network', 'broadcast', 'peer', '0'].includes(modifier)) return []
    flags.add(modifier)
    name = name.slice(0, at)
  }
  if (['network', 'broadcast', 'peer'].filter((flag) => flags.has(flag)).length > 1) {
    resolver.stderr.push('illegal combination of interface modifiers')
    return []
  }
  if ((flags.has('network') || flags.has('broadcast')) && mask !== undefined) {
    resolver.stderr.push('network or broadcast lookup, but extra netmask given')
    return []
  }
  const { interfaces, groups } = resolver.machine
  const members =
    name === 'self' ? Object.keys(interfaces) : (groups[name] ?? (name in interfaces ? [name] : undefined))
  if (members === undefined) return []
  const seen = new Set()
  const found = []
  for (const entry of members.flatMap((member) => interfaces[member] ?? [])) {
    const source = flags.has('broadcast') ? entry.broadcast : flags.has('peer') ? entry.peer : entry.address
    if (source === undefined) continue
    const address = { ...parseNumeric(source), not: false }
    if (flags.has('network') && isLinkLocal(address)) continue
    if (flags.has('0')) {
      if (isLinkLocal(address) || seen.has(address.family)) continue
      seen.add(address.family)
    }
    found.push({ ...address, length: flags.has('network') ? entry.length : (mask ?? hostLengthOf(address)) })
  }
  return found
}

function nameAddresses(resolver, text, mask) {
  const isFirstOnly = text.endsWith(':0')
  const name = isFirstOnly ? text.slice(0, -2) : text
  if (!resolver.useDns) return []
  if (resolver.isStrict) {
    resolver.dnsAsked.push(name)
    return []
  }
  let texts
  if (name === 'localhost' || name.endsWith('.localhost')) texts = ['127.0.0.1', '::1']
  else if (!/^[A-Za-z0-9_.-]*$/.test(name) || /^[.-]/.test(name)) {
    resolver.resolverRefused.push(name)
    return []
  } else {
    resolver.dnsAsked.push(name)
    texts = resolver.hosts[name] ?? []
  }
  const addresses = texts.map((each) => ({ ...parseNumeric(each), not: false }))
  const kept = isFirstOnly
    ? addresses.filter((each, index) => addresses.findIndex(({ family }) => family === each.family) === index)
    : addresses
  return kept.map((address) => ({ ...address, length: mask ?? hostLengthOf(address) }))
}

function zonelessNumeric(resolver, text, isNetwork) {
  const [address, zone] = text.split('%')
  if (zone === undefined) return parseNumeric(text, isNetwork)
  // A zone may also be given by the number of its interface.
  const isZone = zone in resolver.machine.interfaces || /^[0-9]+$/.test(zone)
  const parsed = isZone ? parseNumeric(address) : undefined
  return parsed?.family === 6 ? parsed : undefined
}

/** Addresses of a token without its `!`; undefined if there are none; the reason is then on stderr. */
function hostAddresses(resolver, text) {
  const slash = text.indexOf('/')
  let mask
  if (slash >= 0) {
    const { value, fault } = toNumber(text.slice(slash + 1), 0, 128)
    if (fault !== undefined) {
      resolver.stderr.push(`netmask is ${fault}: ${text.slice(slash)}`)
      return undefined
    }
    mask = value
  }
  const name = slash < 0 ? text : text.slice(0, slash)
  let found = interfaceAddresses(resolver, name, mask)
  if (found.length === 0) {
    const numeric = zonelessNumeric(resolver, name, mask !== undefined)
    if (numeric !== undefined) found = [{ ...numeric, not: false, length: mask ?? hostLengthOf(numeric) }]
    else found = nameAddresses(resolver, name, mask)
  }
  if (found.length > 0) return found
  resolver.stderr.push(`no IP address found for ${text}`)
  return undefined
}

/**
 * Addresses of one token, host bits cleared; `fault` is `no-address` or `EINVAL`.
 * @returns {{ addresses: Address[] } | { fault: 'no-address' | 'EINVAL' }}
 */
export function readToken(resolver, token, isHostsOnly) {
  const [, signs, text] = /^(!*)([\s\S]*)$/.exec(token)
  const found = hostAddresses(resolver, text)
  if (found === undefined) return { fault: 'no-address' }
  if (found.some((address) => address.length > hostLengthOf(address))) return { fault: 'EINVAL' }
  const isNegated = signs.length % 2 === 1
  if (isHostsOnly && (isNegated || found.some((address) => address.length !== hostLengthOf(address))))
    return { fault: 'EINVAL' }
  return { addresses: found.map((address) => maskBits({ ...address, not: isNegated })) }
}

/** Longest token; one byte more and the whole input is refused. */
const MAX_TOKEN_BYTES = 255

/**
 * Tokens of a file: separated by white space; `#` at the start of a token begins a comment up to the next LF; NUL
 * ends the text.
 */
function* tokensOf(text) {
  for (let at = 0; at < text.length; ) {
    if (' \t\n\r\f\v'.includes(text[at])) at += 1
    else if (text[at] === '#') {
      const end = text.indexOf('\n', at)
      at = end < 0 ? text.length : end + 1
    } else {
      let end = at
      while (end < text.length && !' \t\n\r\f\v'.includes(text[end])) end += 1
      yield end - at > MAX_TOKEN_BYTES ? undefined : text.slice(at, end).split('\0')[0]
      at = end
    }
  }
}

/** All addresses of a file's text, stopping at the first bad token. */
export function readAddressText(resolver, text, isHostsOnly) {
  const addresses = []
  let isBehindAddress = false
  let isWeight = false
  for (const token of tokensOf(text)) {
    if (token === undefined) return { fault: 'EINVAL' }
    if (isWeight) {
      if (toNumber(token, 1, 65535).fault !== undefined) {
        resolver.stderr.push(`failed to convert weight ${token}`)
        return { fault: 'ENOENT' }
      }
      isWeight = false
      isBehindAddress = false
    } else if (token === 'weight' && isBehindAddress) isWeight = true
    else {
      const read = readToken(resolver, token, isHostsOnly)
      if ('fault' in read) return read
      addresses.push(...read.addresses)
      isBehindAddress = true
    }
  }
  return isWeight ? { fault: 'ENOENT' } : { addresses }
}
