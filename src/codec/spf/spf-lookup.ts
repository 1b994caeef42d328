/** Shared by check-host.ts and collect-ranges.ts: reading one record, and the errors that end an evaluation. */
import { canonicalIp, familyOf } from '../../ip/address.js'
import { isAskable } from '../dns/dns-name.js'
import { askDns, type DnsAnswer, type DnsDialogue } from '../dns/dns-question.js'
import { parseSpf, type SpfRecord, selectSpf } from './spf-record.js'

/** Maximum number of terms that query DNS. Source: RFC 7208 section 4.6.4, also for the next two. */
export const MAX_LOOKUP_TERMS = 10
/** Maximum number of look-ups without a result. */
export const MAX_VOID_TERMS = 2
/** Maximum number of names of one `mx`. */
export const MAX_MX_NAMES = 10

/** Ends an evaluation at once, at any depth. The message may quote a record: escape it. */
export class SpfProblem extends Error {
  readonly result: 'temperror' | 'permerror'
  constructor(result: 'temperror' | 'permerror', reason: string) {
    super(reason)
    this.result = result
  }
}

/**
 * The SPF record of a name; undefined if it has none or cannot have one. Throws `SpfProblem`: no answer
 * (`temperror`), or an invalid record (`permerror`).
 */
export function* readRecord(domain: string): DnsDialogue<SpfRecord | undefined> {
  if (!isAskable(domain)) return undefined
  const answer = yield* askDns('TXT', domain)
  if (answer.status === 'failed') throw new SpfProblem('temperror', `no answer for ${domain}`)
  const texts = selectSpf(valuesOf(answer))
  if (texts.length > 1) throw new SpfProblem('permerror', `${texts.length} SPF records of ${domain}`)
  const [text] = texts
  if (text === undefined) return undefined
  const parsed = parseSpf(text)
  if (!parsed.ok) throw new SpfProblem('permerror', `${domain}: ${parsed.reason}`)
  return parsed.record
}

/** The values of an answer; empty if there are none. */
export function valuesOf(answer: DnsAnswer): readonly string[] {
  return answer.status === 'found' ? answer.values : []
}

/** The canonical addresses in an answer to A or AAAA, only those of that family: the answer is untrusted text. */
export function addressesOf(type: 'A' | 'AAAA', answer: DnsAnswer): string[] {
  const family = type === 'A' ? 4 : 6
  return valuesOf(answer).flatMap((value) => {
    const ip = canonicalIp(value)
    return ip === undefined || familyOf(ip) !== family ? [] : [ip]
  })
}
