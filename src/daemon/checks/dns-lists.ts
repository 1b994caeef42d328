/** Queries address lists through DNS, from the cache or the network. */
import {
  type DnsList,
  type DnsListing,
  dnsListQuestion,
  readDnsListAnswer,
} from '../../codec/dns/dns-list.js'
import type { DnsAnswer, DnsDialogue } from '../../codec/dns/dns-question.js'
import type { Clock } from '../../platform/clock.js'
import type { DnsClient } from '../../platform/dns-client.js'
import type { Logger } from '../../platform/log.js'
import { RateLimitedLog } from '../rate-limited-log.js'

/** Time for all lists together, as for SPF. */
const ANSWER_TIMEOUT_MS = 2_000

/** `unknown`: no cached answer. */
export type KnownListing = 'listed' | 'unlisted' | 'unknown'

export class DnsLists {
  readonly #lists: readonly DnsList[]
  readonly #dns: DnsClient
  readonly #limited: RateLimitedLog

  constructor(lists: readonly DnsList[], parts: { dns: DnsClient; clock: Clock; logger: Logger }) {
    this.#lists = lists
    this.#dns = parts.dns
    this.#limited = new RateLimitedLog(parts.logger, parts.clock)
  }

  /** False when there is no list to query. */
  get isInUse(): boolean {
    return this.#lists.length > 0
  }

  /** The result from cached answers; `listed` as soon as one says so. */
  known(ip: string): KnownListing {
    let known: KnownListing = 'unlisted'
    for (const list of this.#lists) {
      const answer = this.#dns.peek(dnsListQuestion(list, ip))
      if (answer === undefined) known = 'unknown'
      else if (this.#read(list, readDnsListAnswer(list, answer))) return 'listed'
    }
    return known
  }

  /** True when the address is on a list. No answer in time means not listed. */
  async has(ip: string): Promise<boolean> {
    if (this.#lists.length === 0) return false
    const answers = await this.#dns.run(askAll(this.#lists, ip), ANSWER_TIMEOUT_MS)
    return this.#lists.some(
      (list, index) => answers !== undefined && this.#read(list, readDnsListAnswer(list, answers[index]!)),
    )
  }

  #read(list: DnsList, listing: DnsListing): boolean {
    if (listing === 'unusable') {
      this.#limited.log(
        `refused ${list.zone}`,
        'warning',
        `${list.zone} does not answer queries from this host: nothing counts as listed there (use a name server of your own: --dns-server)`,
      )
    }
    return listing === 'listed'
  }
}

function* askAll(lists: readonly DnsList[], ip: string): DnsDialogue<readonly DnsAnswer[]> {
  return yield lists.map((list) => dnsListQuestion(list, ip))
}
