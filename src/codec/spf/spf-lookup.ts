/** What an evaluation and a walk of SPF records share: reading one record, and the errors that end both. */
import { canonicalIp, familyOf } from '../../ip/address.js'
import { isAskable } from '../dns/dns-name.js'
import { askDns, type DnsAnswer, type DnsDialogue } from '../dns/dns-question.js'
import { parseSpf, type SpfRecord, selectSpf } from './spf-record.js'

/** Terms that ask DNS. Source: RFC 7208 section 4.6.4, as are the next two. */
export const MAX_LOOKUP_TERMS = 10
/** Terms whose look-up found nothing. */
export const MAX_VOID_TERMS = 2
/** Names of one `mx`. */
export const MAX_MX_NAMES = 10

/** What ends an evaluation at once, however deep it is. The message may quote a record: escape it. */
export class SpfProblem extends Error {
  readonly result: 'temperror' | 'permerror'
  constructor(result: 'temperror' | 'permerror', reason: string) {
    super(reason)
    this.result = result
  }
}

/**
 * The SPF record of a name; undefined when it has none, or cannot have one. Throws what ends an evaluation: no answer
 * (`temperror`), or a record that is none (`permerror`).
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

/** The values of an answer; none when there is none. */
export function valuesOf(answer: DnsAnswer): readonly string[] {
  return answer.status === 'found' ? answer.values : []
}

/** The addresses of an answer to A or AAAA, canonical, and of that family alone: an answer is text of a stranger. */
export function addressesOf(type: 'A' | 'AAAA', answer: DnsAnswer): string[] {
  const family = type === 'A' ? 4 : 6
  return valuesOf(answer).flatMap((value) => {
    const ip = canonicalIp(value)
    return ip === undefined || familyOf(ip) !== family ? [] : [ip]
  })
}
