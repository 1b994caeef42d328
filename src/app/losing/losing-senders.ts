/** Who is losing mail: senders whose mail comes from changing addresses and has not passed. Pure. */
import type { AllowSource } from '../../domain/allow.js'
import type { DeferredMail } from '../../domain/deferred-mail.js'
import type { HostEntry, WireText } from '../../domain/entry.js'
import { trapKeyOf } from '../../domain/recipient.js'
import { isInForce, isInReleaseNetwork, meetsTerms, type Release } from '../../domain/release.js'
import { familyOf } from '../../ip/address.js'
import { networkText } from '../../ip/cidr.js'
import type { IpRangeSet } from '../../ip/ip-range-set.js'
import { holdsAddress, setOfNetworks } from '../allow/network-set.js'

/** Everything of one domain that waits. Times are seconds since the Epoch. */
export interface LosingSender {
  /** Domain in lower case; '' for the null sender, a whole sender where it has no domain. */
  domain: WireText
  mails: number
  tries: number
  firstSec: number
  lastSec: number
  recipients: WireText[]
  clients: { ip: string; helo: WireText }[]
  /** Number of addresses, of very many more than there are clients. */
  addressCount: number
  /** The /24 and /64 of the clients. */
  networks: string[]
  /** Name of a release in force that names every mail of it. */
  releasedBy: string | undefined
  /** Name of an active exception that leaves too few of the clients waiting for them to be a pool. */
  allowedBy: string | undefined
}

/** Maximum addresses and recipients reported for one domain. */
const MAX_TOLD = 500
const NETWORK_BITS = { 4: 24, 6: 64 } as const

/** What already lets mail pass. */
export interface LosingTerms {
  releases: readonly Release[]
  /** Those in force. */
  exceptions: readonly AllowSource[]
  /** Fewer clients than this are not a pool. */
  minAddresses: number
  nowSec: number
}

/**
 * Puts mails together by the domain of their sender, the one with the most tries first. A mail that made an address
 * WHITE with its last try has passed, and so has one of which `whiteOf` tells an address that became WHITE since.
 */
export function groupLosing(
  mails: readonly DeferredMail[],
  whiteOf: (ip: string) => HostEntry | undefined,
  { releases, exceptions, minAddresses, nowSec }: LosingTerms,
): LosingSender[] {
  const inForce = releases.filter((release) => isInForce(release, nowSec))
  const senders = new Map<WireText, Group>()
  for (const mail of mails) {
    if (hasPassed(mail, whiteOf)) continue
    const domain = senderDomain(mail.from)
    const group = senders.get(domain) ?? new Group(domain)
    senders.set(domain, group)
    group.add(mail, inForce)
  }
  const allowed = exceptions.map(({ name, networks }) => ({ name, set: setOfNetworks(networks) }))
  return [...senders.values()]
    .map((group) => group.sender())
    .map((sender) => ({ ...sender, allowedBy: allowedBy(sender, allowed, minAddresses) }))
    .sort((a, b) => b.tries - a.tries || (a.domain < b.domain ? -1 : 1))
}

/** Mail that an exception lets bypass spamd is never seen to pass, so its earlier attempts would be reported for days. */
function allowedBy(
  { clients }: { clients: readonly { ip: string }[] },
  allowed: readonly { name: string; set: IpRangeSet }[],
  minAddresses: number,
): string | undefined {
  return allowed.find(({ set }) => {
    const left = clients.filter(({ ip }) => !holdsAddress(set, ip)).length
    return left < clients.length && left < minAddresses
  })?.name
}

function hasPassed(
  { passedSec, lastSec, clients }: DeferredMail,
  whiteOf: (ip: string) => HostEntry | undefined,
): boolean {
  if (passedSec !== undefined && passedSec >= lastSec) return true
  return clients.some(({ ip }) => {
    const host = whiteOf(ip)
    return host?.kind === 'WHITE' && host.pass >= lastSec
  })
}

/** The domain of a sender as releases compare it. */
export function senderDomain(from: WireText): WireText {
  const sender = trapKeyOf(from)
  return sender.slice(sender.lastIndexOf('@') + 1).replace(/\.$/, '')
}

class Group {
  readonly #domain: WireText
  #mails = 0
  #tries = 0
  #firstSec = Number.POSITIVE_INFINITY
  #lastSec = 0
  #mostAddresses = 0
  readonly #recipients = new Set<WireText>()
  readonly #clients = new Map<string, WireText>()
  /** Releases that name all of its mail so far; undefined before the first. */
  #releases: Release[] | undefined

  constructor(domain: WireText) {
    this.#domain = domain
  }

  add(
    { from, to, tries, firstSec, lastSec, addressCount, clients }: DeferredMail,
    inForce: readonly Release[],
  ): void {
    this.#mails += 1
    this.#tries += tries
    this.#firstSec = Math.min(this.#firstSec, firstSec)
    this.#lastSec = Math.max(this.#lastSec, lastSec)
    this.#mostAddresses = Math.max(this.#mostAddresses, addressCount)
    const recipient = trapKeyOf(to)
    if (this.#recipients.size < MAX_TOLD) this.#recipients.add(recipient)
    for (const { ip, helo } of clients) {
      if (this.#clients.size < MAX_TOLD || this.#clients.has(ip)) this.#clients.set(ip, helo)
    }
    const mail = { tuple: { from, to }, trapKey: recipient }
    this.#releases = (this.#releases ?? inForce).filter(
      (release) => meetsTerms(release, mail) && clients.every(({ ip }) => isInReleaseNetwork(release, ip)),
    )
  }

  sender(): Omit<LosingSender, 'allowedBy'> {
    const clients = [...this.#clients].map(([ip, helo]) => ({ ip, helo }))
    return {
      domain: this.#domain,
      mails: this.#mails,
      tries: this.#tries,
      firstSec: this.#firstSec,
      lastSec: this.#lastSec,
      recipients: [...this.#recipients],
      clients,
      addressCount: Math.max(this.#mostAddresses, clients.length),
      networks: [...new Set(clients.map(({ ip }) => networkAround(ip)))],
      releasedBy: this.#releases?.[0]?.id,
    }
  }
}

function networkAround(ip: string): string {
  return ip.includes('/') ? ip : networkText(ip, NETWORK_BITS[familyOf(ip)])
}
