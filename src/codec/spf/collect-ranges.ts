/**
 * Evaluates the SPF record of a domain and collects the addresses that pass for it, for any client: the
 * result of a check for all addresses at once.
 *
 * A range is certain if no earlier term decides otherwise for a client in it, or may decide otherwise depending on the
 * client (`ptr`, `exists`, a macro with the client or sender). Such a term may still end a check in an error, if a
 * name that depends on the client has no record. The ranges after it are certain nevertheless: the owner of the
 * domain lists them for every client. Source: RFC 7208, as check-host.ts.
 */
import { familyOf } from '../../ip/address.js'
import { networkOf, parseCidr } from '../../ip/cidr.js'
import { EMPTY_SET, IpRangeCollector, type IpRangeSet, unionOf } from '../../ip/ip-range-set.js'
import { countAddresses } from '../../ip/set-size.js'
import { fitName, isAskable, isHostName } from '../dns/dns-name.js'
import type { DnsDialogue, DnsQuestion } from '../dns/dns-question.js'
import { collectNetwork, GatheredRanges, type RangePair } from './gathered-ranges.js'
import { expandDomain, isOfDomainAlone, type MacroString } from './macro.js'
import {
  addressesOf,
  MAX_LOOKUP_TERMS,
  MAX_MX_NAMES,
  MAX_VOID_TERMS,
  readRecord,
  SpfProblem,
  valuesOf,
} from './spf-lookup.js'
import type { SpfDirective, SpfHostMechanism, SpfRecord } from './spf-record.js'

/** The addresses that pass for a domain. Those in `possible` may pass, by a term that depends on the client. */
export interface SpfRanges extends RangePair {
  /** Clients outside both may pass, too, by `ptr`, `exists` or a macro. */
  hasClientTerms: boolean
}

/** `none`: the domain has no SPF record. The reason may quote a record: escape it. */
export type CollectedRanges =
  | { ok: true; ranges: SpfRanges }
  | { ok: false; result: 'none' | 'temperror' | 'permerror'; reason: string }

/** How many terms may query DNS, and how many of them without a result; by default as RFC 7208 section 4.6.4 says. */
export interface WalkLimits {
  lookupTerms?: number
  voidTerms?: number
}

/** More addresses than this, `2^20` of IPv4 or a `/28` of IPv6, cannot all be a sender's own servers. */
const MOST_IPV4_ADDRESSES = 2 ** 20
const MOST_IPV6_ADDRESSES = 2 ** 100

/** True if so many addresses pass for a domain that a pass means nothing (`+all`, half of the address space). */
export function isTooWide({ sure, possible }: RangePair): boolean {
  const { ipv4, ipv6 } = countAddresses(unionOf([sure, possible]))
  return ipv4 > MOST_IPV4_ADDRESSES || ipv6 > MOST_IPV6_ADDRESSES
}

/**
 * Evaluates the record of a domain and all records that it includes. An error in any of them is the result of the
 * whole.
 */
export function* collectRanges(domain: string, limits: WalkLimits = {}): DnsDialogue<CollectedRanges> {
  const name = fitName(domain)
  if (!isHostName(name)) return { ok: false, result: 'none', reason: 'no domain name' }
  try {
    const ranges = yield* new Walk(name, limits).domainRanges(name)
    if (ranges === undefined) return { ok: false, result: 'none', reason: 'no SPF record' }
    return { ok: true, ranges }
  } catch (problem) {
    if (!(problem instanceof SpfProblem)) throw problem
    return { ok: false, result: problem.result, reason: problem.message }
  }
}

class Walk {
  readonly #origin: string
  readonly #lookupTerms: number
  readonly #voidTerms: number
  #termCount = 0
  #voidCount = 0

  constructor(origin: string, { lookupTerms = MAX_LOOKUP_TERMS, voidTerms = MAX_VOID_TERMS }: WalkLimits) {
    this.#origin = origin
    this.#lookupTerms = lookupTerms
    this.#voidTerms = voidTerms
  }

  /** undefined: no record. */
  *domainRanges(domain: string): DnsDialogue<SpfRanges | undefined> {
    const record = yield* readRecord(domain)
    if (record === undefined) return undefined
    const gathered = new GatheredRanges()
    const hasClientTerms = yield* this.#gather(record, domain, gathered)
    return { ...gathered.result(), hasClientTerms }
  }

  /** True if some clients may pass by a term that depends on the client. */
  *#gather(record: SpfRecord, domain: string, gathered: GatheredRanges): DnsDialogue<boolean> {
    let hasClientTerms = false
    for (const directive of record.directives) {
      const isPass = directive.outcome === 'pass'
      if (directive.kind === 'all') {
        gathered.add(ALL, directive.outcome)
        return hasClientTerms
      }
      if (directive.kind === 'ip') {
        gathered.addNetwork(directive.network, directive.outcome)
        continue
      }
      this.#countTerm()
      if (!isOfDomain(directive)) {
        if (isPass) hasClientTerms = true
        else gathered.noteDoubt()
        continue
      }
      const name = directive.target === undefined ? domain : this.#expand(directive.target, domain)
      const matches = yield* this.#matchesOf(directive, name)
      gathered.add(matches, directive.outcome)
      if (!matches.hasClientTerms) continue
      if (isPass) hasClientTerms = true
      else gathered.noteDoubt()
    }
    if (record.redirect === undefined) return hasClientTerms
    this.#countTerm()
    if (!isOfDomainAlone(record.redirect)) return true
    const ranges = yield* this.#includedRanges(this.#expand(record.redirect, domain))
    gathered.add(ranges, 'pass')
    return hasClientTerms || ranges.hasClientTerms
  }

  /** The clients that match a directive which depends on the domain only. */
  *#matchesOf(directive: NamedDirective, name: string): DnsDialogue<SpfRanges> {
    switch (directive.kind) {
      case 'include':
        return yield* this.#includedRanges(name)
      case 'exists': {
        const isFound = (yield* this.#lookUp([{ type: 'A', name }])).length > 0
        return { ...(isFound ? ALL : NOTHING), hasClientTerms: false }
      }
      case 'a':
      case 'mx': {
        const names = directive.kind === 'a' ? [name] : yield* this.#mailHosts(name)
        const sure = yield* this.#networksOf(names, directive)
        return { sure, possible: EMPTY_SET, hasClientTerms: false }
      }
    }
  }

  *#includedRanges(name: string): DnsDialogue<SpfRanges> {
    const ranges = yield* this.domainRanges(name)
    if (ranges === undefined) throw new SpfProblem('permerror', `no SPF record of ${name}`)
    return ranges
  }

  *#mailHosts(name: string): DnsDialogue<readonly string[]> {
    const hosts = yield* this.#lookUp([{ type: 'MX', name }])
    if (hosts.length > MAX_MX_NAMES) throw new SpfProblem('permerror', `too many MX hosts of ${name}`)
    return hosts.map(fitName)
  }

  /** The networks around all addresses of hosts. */
  *#networksOf(names: readonly string[], { kind, bits4, bits6 }: SpfHostMechanism): DnsDialogue<IpRangeSet> {
    const questions = names.flatMap((name): DnsQuestion[] => [
      { type: 'A', name },
      { type: 'AAAA', name },
    ])
    const collector = new IpRangeCollector()
    for (const ip of yield* this.#lookUp(questions, kind === 'a')) {
      collectNetwork(collector, networkOf(ip, familyOf(ip) === 4 ? bits4 : bits6))
    }
    return collector.takeSet()
  }

  #countTerm(): void {
    this.#termCount += 1
    if (this.#termCount > this.#lookupTerms) {
      throw new SpfProblem('permerror', `more than ${this.#lookupTerms} terms that need DNS`)
    }
  }

  /** All values of one term's look-up; empty for a name that cannot be looked up in DNS. */
  *#lookUp(questions: readonly DnsQuestion[], isTerm = true): DnsDialogue<readonly string[]> {
    const askable = questions.filter(({ name }) => isAskable(name))
    if (askable.length === 0) return []
    const answers = yield askable.map(({ type, name }) => ({ type, name: name.toLowerCase() }))
    const failed = answers.findIndex(({ status }) => status === 'failed')
    if (failed >= 0) throw new SpfProblem('temperror', `no answer for ${askable[failed]!.name}`)
    if (isTerm && answers.every(({ status }) => status === 'none')) this.#countVoid()
    return answers.flatMap((answer, index) => {
      const { type } = askable[index]!
      return type === 'A' || type === 'AAAA' ? addressesOf(type, answer) : valuesOf(answer)
    })
  }

  #countVoid(): void {
    this.#voidCount += 1
    if (this.#voidCount > this.#voidTerms) {
      throw new SpfProblem('permerror', `more than ${this.#voidTerms} names without a record`)
    }
  }

  /** For names that are the same for every client. */
  #expand(spec: MacroString, domain: string): string {
    const unused = ''
    return expandDomain(spec, {
      d: domain,
      o: this.#origin,
      s: unused,
      l: unused,
      i: unused,
      p: unused,
      v: unused,
      h: unused,
    })
  }
}

/** True for a directive whose name is the same for every client. */
type NamedDirective = SpfDirective & ({ kind: 'include' | 'exists' } | SpfHostMechanism)

function isOfDomain(directive: Exclude<SpfDirective, { kind: 'all' | 'ip' }>): directive is NamedDirective {
  if (directive.kind === 'ptr') return false
  return directive.target === undefined || isOfDomainAlone(directive.target)
}

const NOTHING: RangePair = { sure: EMPTY_SET, possible: EMPTY_SET }
const ALL: RangePair = { sure: everything(), possible: EMPTY_SET }

function everything(): IpRangeSet {
  const collector = new IpRangeCollector()
  for (const text of ['0.0.0.0/0', '::/0']) collectNetwork(collector, parseCidr(text)!)
  return collector.takeSet()
}
