/**
 * Lists of addresses that are queried through DNS: the query, and the meaning of an answer. Source: RFC 5782 section
 * 2; the codes are those that the operators of the zones publish.
 */
import { ipv4ToNumber } from '../../ip/address.js'
import { isIpv4Text } from '../../ip/numeric-text.js'
import { isHostName, reversedUnder } from './dns-name.js'
import type { DnsAnswer, DnsQuestion } from './dns-question.js'

/** A zone, and which of its answers count. */
export interface DnsList {
  /** Lower case. */
  zone: string
  /** Ranges of the four numbers of an answer, lowest and highest; empty: every answer except errors. */
  codes: readonly (readonly (readonly [number, number])[])[]
}

/** What a list says about an address; `unusable`: the zone refuses the query, or its answer is not one of a list. */
export type DnsListing = 'listed' | 'unlisted' | 'unusable'

/** Numbers of one answer. */
const OCTETS = 4
/** The longest name below a zone is that of an IPv6 address: 64 characters. */
const MAX_ZONE_LENGTH = 253 - 64

/**
 * Reads `ZONE` or `ZONE=CODES`: answers separated by commas, each of four numbers, ranges or `*`
 * (`list.dnswl.org=127.0.*.2-3`). undefined for anything else.
 */
export function parseDnsList(text: string): DnsList | undefined {
  const equals = text.indexOf('=')
  const zone = (equals < 0 ? text : text.slice(0, equals)).toLowerCase().replace(/\.$/, '')
  if (!isHostName(zone) || zone.length > MAX_ZONE_LENGTH) return undefined
  if (equals < 0) return { zone, codes: [] }
  const codes: DnsList['codes'][number][] = []
  for (const code of text.slice(equals + 1).split(',')) {
    const ranges = code.split('.').map(parseRange)
    if (ranges.length !== OCTETS || ranges.includes(undefined)) return undefined
    codes.push(ranges as [number, number][])
  }
  return { zone, codes }
}

function parseRange(text: string): [number, number] | undefined {
  if (text === '*') return [0, 255]
  const [, low, high] = /^([0-9]{1,3})(?:-([0-9]{1,3}))?$/.exec(text) ?? []
  if (low === undefined) return undefined
  const range: [number, number] = [Number(low), Number(high ?? low)]
  return range[0] <= range[1] && range[1] <= 255 ? range : undefined
}

/** The query for a canonical address. */
export function dnsListQuestion(list: DnsList, ip: string): DnsQuestion {
  return { type: 'A', name: reversedUnder(ip, list.zone) }
}

/** The meaning of an answer. No answer at all is `unlisted`: a list that is down must neither block nor admit mail. */
export function readDnsListAnswer({ codes }: DnsList, answer: DnsAnswer): DnsListing {
  if (answer.status !== 'found') return 'unlisted'
  const values = answer.values.filter(isIpv4Text)
  if (values.some(isRefusal)) return 'unusable'
  const isListed = values.some((value) => {
    const numbers = value.split('.').map(Number)
    if (codes.length === 0) return true
    return codes.some((code) => code.every(([low, high], at) => numbers[at]! >= low && numbers[at]! <= high))
  })
  return isListed ? 'listed' : 'unlisted'
}

/**
 * Answers that do not count: outside 127/8 (the zone was sold), 127.0.0.1 (RFC 5782 section 5), 127.255.255.0/24
 * (Spamhaus: query refused) and 127.0.0.255 (dnswl.org: query refused).
 */
function isRefusal(value: string): boolean {
  const number = ipv4ToNumber(value)
  return (
    value === '127.0.0.1' ||
    value === '127.0.0.255' ||
    Math.floor(number / 2 ** 24) !== 127 ||
    Math.floor(number / 2 ** 8) === ipv4ToNumber('127.255.255.0') / 2 ** 8
  )
}
