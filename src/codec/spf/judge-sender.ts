/**
 * How much the greylister relies on SPF: a pass counts only for a domain whose record lists few addresses, and allows
 * the whole domain only if the record lists this address.
 */
import type { IpRangeSet } from '../../ip/ip-range-set.js'
import { RangeTable } from '../../ip/range-table.js'
import type { DnsDialogue } from '../dns/dns-question.js'
import { checkHost, type SpfRequest, type SpfResult } from './check-host.js'
import { collectRanges, isTooWide } from './collect-ranges.js'

/** `too-wide`: the client passes, but so would a large part of the Internet, or the record has an error elsewhere. */
export type SenderJudgement =
  | {
      result: 'pass'
      /** All addresses that pass for the domain, for any client. */
      sure: IpRangeSet
      /** True if the client is one of them; false if it passed by `ptr`, `exists` or a macro. */
      isOfDomain: boolean
    }
  | { result: Exclude<SpfResult, 'pass'> | 'too-wide' }

/** Checks a client and, if it passes, how many others would. */
export function* judgeSender(request: SpfRequest): DnsDialogue<SenderJudgement> {
  const { result } = yield* checkHost(request)
  if (result !== 'pass') return { result }
  const collected = yield* collectRanges(request.domain)
  if (!collected.ok) return { result: collected.result === 'temperror' ? 'temperror' : 'too-wide' }
  const { ranges } = collected
  if (isTooWide(ranges)) return { result: 'too-wide' }
  return { result, sure: ranges.sure, isOfDomain: new RangeTable(ranges.sure).has(request.clientIp) }
}
