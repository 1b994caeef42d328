import { canonicalIp, familyOf } from '../../ip/address.js'
import { fitName, isAskable, reverseName } from './dns-name.js'
import { askDns, askDnsMany, type DnsAnswer, type DnsDialogue } from './dns-question.js'

/** Maximum number of names of one address that are checked. Source: RFC 7208 section 4.6.4. */
const MAX_PTR_NAMES = 10

/** The names that DNS has for an address. */
export interface ClientNames {
  /** Result of the reverse look-up; `failed`: no server answered. */
  status: DnsAnswer['status']
  /** In lower case; only names whose own addresses include the client. */
  names: readonly string[]
}

/**
 * The names of a canonical address that resolve back to it, since anyone can put any name into their own reverse
 * zone. Failures only reduce the number of names. Source: RFC 7208 section 5.5.
 */
export function* clientNames(clientIp: string): DnsDialogue<ClientNames> {
  const type = familyOf(clientIp) === 4 ? 'A' : 'AAAA'
  const answer = yield* askDns('PTR', reverseName(clientIp))
  const names = (answer.status === 'found' ? answer.values : [])
    .slice(0, MAX_PTR_NAMES)
    .map((name) => fitName(name).toLowerCase())
    .filter(isAskable)
  const answers = yield* askDnsMany(type, names)
  return { status: answer.status, names: names.filter((_, index) => isFoundIn(answers[index]!, clientIp)) }
}

function isFoundIn(answer: DnsAnswer, clientIp: string): boolean {
  return answer.status === 'found' && answer.values.some((value) => canonicalIp(value) === clientIp)
}
