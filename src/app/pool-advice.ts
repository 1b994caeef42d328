/** What pool keys or exceptions would do for mail from many addresses: a part of `spamdctl advise`. Pure. */
import type { AllowSource } from '../domain/allow.js'
import type { DeferredMail } from '../domain/deferred-mail.js'
import type { WireText } from '../domain/entry.js'
import { WIDEST_OPENED } from '../domain/pool-key.js'
import { familyOf } from '../ip/address.js'
import { networkText } from '../ip/cidr.js'
import { allowWordOf } from './allow/allow-name.js'
import { holdsAddress, setOfNetworks } from './allow/network-set.js'
import { senderDomain } from './losing/losing-senders.js'

const MAX_CANDIDATES = 10

/** Mail that came from several addresses. */
export interface PoolMail {
  mails: number
  senders: number
  /** Mails that never passed. */
  lost: number
  /** Seconds from the first try until those that passed did; undefined without any. */
  meanWaitSec: number | undefined
}

/** A sender whose servers are spread over networks, so that only its domain shows that they belong together. */
export interface AllowCandidate extends Omit<PoolMail, 'senders'> {
  domain: WireText
  addresses: number
  networks: number
}

export interface PoolAdvice {
  /** Mail whose addresses are all in one /24 or /64: a pool key covers it. */
  oneNetwork: PoolMail
  /** Mail that no pool key covers. */
  spread: PoolMail
  /** Those with the most mails first. */
  candidates: AllowCandidate[]
}

/** Groups mails by what would help them; those that an active exception lets through need nothing. */
export function computePoolAdvice(
  mails: readonly DeferredMail[],
  exceptions: readonly AllowSource[],
): PoolAdvice {
  const allowed = exceptions.map(({ networks }) => setOfNetworks(networks))
  const waiting = mails.filter(
    ({ clients }) => !allowed.some((set) => clients.every(({ ip }) => holdsAddress(set, ip))),
  )
  const oneNetwork = new Sum()
  const spread = new Sum()
  const byDomain = new Map<WireText, Sum>()
  for (const mail of waiting) {
    const domain = senderDomain(mail.from)
    const networks = new Set(mail.clients.map(({ ip }) => networkText(ip, WIDEST_OPENED[familyOf(ip)])))
    if (networks.size === 1) {
      oneNetwork.add(mail, domain, networks)
      continue
    }
    spread.add(mail, domain, networks)
    if (allowWordOf(domain) === undefined) continue
    const sum = byDomain.get(domain) ?? new Sum()
    byDomain.set(domain, sum)
    sum.add(mail, domain, networks)
  }
  return {
    oneNetwork: oneNetwork.total(),
    spread: spread.total(),
    candidates: [...byDomain]
      .map(([domain, sum]) => sum.candidate(domain))
      .sort((one, other) => other.mails - one.mails || (one.domain < other.domain ? -1 : 1))
      .slice(0, MAX_CANDIDATES),
  }
}

class Sum {
  #mails = 0
  #lost = 0
  #waitSec = 0
  readonly #senders = new Set<WireText>()
  readonly #addresses = new Set<string>()
  readonly #networks = new Set<string>()

  add({ passedSec, firstSec, clients }: DeferredMail, domain: WireText, networks: Iterable<string>): void {
    this.#mails += 1
    if (passedSec === undefined) this.#lost += 1
    else this.#waitSec += Math.max(0, passedSec - firstSec)
    this.#senders.add(domain)
    for (const { ip } of clients) this.#addresses.add(ip)
    for (const network of networks) this.#networks.add(network)
  }

  total(): PoolMail {
    const passed = this.#mails - this.#lost
    return {
      mails: this.#mails,
      senders: this.#senders.size,
      lost: this.#lost,
      meanWaitSec: passed === 0 ? undefined : this.#waitSec / passed,
    }
  }

  candidate(domain: WireText): AllowCandidate {
    const { senders: _senders, ...counts } = this.total()
    return { domain, ...counts, addresses: this.#addresses.size, networks: this.#networks.size }
  }
}
