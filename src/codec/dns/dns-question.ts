/**
 * DNS queries as values: rules that need DNS are generators that yield queries and receive the answers. So they stay
 * pure, and their runner owns the sockets, the time-outs and the cache.
 */

/** The record types that are queried. */
export type DnsType = 'A' | 'AAAA' | 'MX' | 'PTR' | 'TXT'

/** One question; `name` is in lower case, without a dot at its end. */
export interface DnsQuestion {
  type: DnsType
  name: string
}

/**
 * `found`: at least one value, in the order of the answer. A and AAAA: canonical addresses. MX: host names,
 * the most preferred first. PTR: host names. TXT: the joined strings of a record, one character per byte.
 * `none`: the name does not exist, or has no record of that type. `failed`: time-out, refusal, a server's
 * failure.
 */
export type DnsAnswer =
  | { status: 'found'; values: readonly string[] }
  | { status: 'none' }
  | { status: 'failed' }

/** Yields questions and receives as many answers, in the same order, until it has its result. */
export type DnsDialogue<Result> = Generator<readonly DnsQuestion[], Result, readonly DnsAnswer[]>

/** One question within a dialogue. */
export function* askDns(type: DnsType, name: string): DnsDialogue<DnsAnswer> {
  const [answer] = yield [{ type, name: name.toLowerCase() }]
  return answer!
}

/** Several questions of one type within a dialogue; returns the answers in the order of the names. */
export function* askDnsMany(type: DnsType, names: readonly string[]): DnsDialogue<readonly DnsAnswer[]> {
  if (names.length === 0) return []
  return yield names.map((name) => ({ type, name: name.toLowerCase() }))
}
