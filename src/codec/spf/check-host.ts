/**
 * Evaluates a domain's SPF record for a client: check_host() of RFC 7208, as a dialogue that yields DNS queries and
 * receives the answers. It reads no clock: the runner of the dialogue ends it if it takes too long.
 *
 * The text that `exp=` names is never looked up, since it is not shown to anyone; its syntax is checked like that of
 * all terms. Source: RFC 7208 sections 4 to 7.
 */
import { familyOf } from '../../ip/address.js'
import { isInNetwork, networkOf } from '../../ip/cidr.js'
import { clientNames } from '../dns/client-names.js'
import { dottedAddress, fitName, isAskable, isHostName } from '../dns/dns-name.js'
import { askDns, askDnsMany, type DnsDialogue } from '../dns/dns-question.js'
import { expandDomain, type MacroString, type MacroValues, usesValidatedName } from './macro.js'
import {
  addressesOf,
  MAX_LOOKUP_TERMS,
  MAX_MX_NAMES,
  MAX_VOID_TERMS,
  readRecord,
  SpfProblem,
  valuesOf,
} from './spf-lookup.js'
import type { DualLength, SpfDirective, SpfHostMechanism, SpfOutcome } from './spf-record.js'

/** Source: RFC 7208 section 2.6. */
export type SpfResult = SpfOutcome | 'none' | 'temperror' | 'permerror'

/** The client and sender to check. */
export interface SpfRequest {
  /** Canonical address of the client. */
  clientIp: string
  /** Domain whose record is evaluated: that of the sender, or of HELO for the null sender. */
  domain: string
  /** The part of the sender before the `@`; `postmaster` if empty or undefined. */
  localPart?: string | undefined
  helo: string
}

/** Result of a check. */
export interface SpfVerdict {
  result: SpfResult
  /** For `permerror` and `temperror`, what is wrong. It may quote the record: escape it. */
  reason?: string
}

/** Value of `%{p}` if no name of the client is valid. */
const NO_NAME = 'unknown'

/** One check; `none` for a domain that is not valid. */
export function* checkHost(request: SpfRequest): DnsDialogue<SpfVerdict> {
  const domain = fitName(request.domain)
  if (!isHostName(domain)) return { result: 'none' }
  const evaluation = new Evaluation(request, domain)
  try {
    return { result: yield* evaluation.domainResult(domain) }
  } catch (problem) {
    if (!(problem instanceof SpfProblem)) throw problem
    return { result: problem.result, reason: problem.message }
  }
}

class Evaluation {
  readonly #request: SpfRequest
  /** The domain at which the evaluation began: `%{o}`. */
  readonly #origin: string
  #termCount = 0
  #voidCount = 0
  /** Names of the client whose addresses include it; undefined before they were looked up. */
  #validNames: readonly string[] | undefined

  constructor(request: SpfRequest, origin: string) {
    this.#request = request
    this.#origin = origin
  }

  *domainResult(domain: string): DnsDialogue<SpfResult> {
    const record = yield* readRecord(domain)
    if (record === undefined) return 'none'
    for (const directive of record.directives) {
      if (yield* this.#matches(directive, domain)) return directive.outcome
    }
    if (record.redirect === undefined) return 'neutral'
    this.#countTerm()
    const target = yield* this.#expand(record.redirect, domain)
    const result = yield* this.domainResult(target)
    if (result === 'none') throw new SpfProblem('permerror', `no SPF record of ${target}`)
    return result
  }

  *#matches(directive: SpfDirective, domain: string): DnsDialogue<boolean> {
    const { clientIp } = this.#request
    switch (directive.kind) {
      case 'all':
        return true
      case 'ip':
        return directive.network !== undefined && isInNetwork(clientIp, directive.network)
      case 'a': {
        const name = yield* this.#targetOf(directive.target, domain)
        const addresses = yield* this.#lookUp(addressType(clientIp), name)
        return this.#isNear(addresses, directive)
      }
      case 'mx':
        return yield* this.#matchesMx(directive, domain)
      case 'ptr':
        return yield* this.#matchesPtr(directive.target, domain)
      case 'exists': {
        const name = yield* this.#targetOf(directive.target, domain)
        return (yield* this.#lookUp('A', name)).length > 0
      }
      case 'include':
        return yield* this.#matchesInclude(directive.target, domain)
    }
  }

  *#matchesInclude(spec: MacroString, domain: string): DnsDialogue<boolean> {
    const target = yield* this.#targetOf(spec, domain)
    const result = yield* this.domainResult(target)
    if (result === 'none') throw new SpfProblem('permerror', `no SPF record of ${target}`)
    return result === 'pass'
  }

  *#matchesMx(directive: SpfHostMechanism, domain: string): DnsDialogue<boolean> {
    const { clientIp } = this.#request
    const name = yield* this.#targetOf(directive.target, domain)
    const hosts = yield* this.#lookUp('MX', name)
    if (hosts.length > MAX_MX_NAMES) throw new SpfProblem('permerror', `too many MX hosts of ${name}`)
    const names = hosts.map(fitName).filter(isAskable)
    const type = addressType(clientIp)
    for (const answer of yield* askDnsMany(type, names)) {
      if (answer.status === 'failed') throw new SpfProblem('temperror', `no answer for an MX host of ${name}`)
      if (this.#isNear(addressesOf(type, answer), directive)) return true
    }
    return false
  }

  *#matchesPtr(spec: MacroString | undefined, domain: string): DnsDialogue<boolean> {
    const target = (yield* this.#targetOf(spec, domain)).toLowerCase()
    const names = yield* this.#clientNames(true)
    return names.some((name) => name === target || name.endsWith(`.${target}`))
  }

  #isNear(addresses: readonly string[], { bits4, bits6 }: DualLength): boolean {
    const { clientIp } = this.#request
    const bits = familyOf(clientIp) === 4 ? bits4 : bits6
    return addresses.some((address) => isInNetwork(clientIp, networkOf(address, bits)))
  }

  /** The name that a term looks up; counts the term towards the limit. */
  *#targetOf(spec: MacroString | undefined, domain: string): DnsDialogue<string> {
    this.#countTerm()
    return spec === undefined ? domain : yield* this.#expand(spec, domain)
  }

  #countTerm(): void {
    this.#termCount += 1
    if (this.#termCount > MAX_LOOKUP_TERMS) {
      throw new SpfProblem('permerror', `more than ${MAX_LOOKUP_TERMS} terms that need DNS`)
    }
  }

  /** Values of a term's own look-up; empty for a name that cannot be looked up in DNS. */
  *#lookUp(type: 'A' | 'AAAA' | 'MX', name: string): DnsDialogue<readonly string[]> {
    if (!isAskable(name)) return []
    const answer = yield* askDns(type, name)
    if (answer.status === 'failed') throw new SpfProblem('temperror', `no answer for ${name}`)
    if (answer.status === 'none') this.#countVoid()
    return type === 'MX' ? valuesOf(answer) : addressesOf(type, answer)
  }

  #countVoid(): void {
    this.#voidCount += 1
    if (this.#voidCount > MAX_VOID_TERMS) {
      throw new SpfProblem('permerror', `more than ${MAX_VOID_TERMS} names without a record`)
    }
  }

  *#expand(spec: MacroString, domain: string): DnsDialogue<string> {
    const { clientIp, helo, localPart } = this.#request
    const local = localPart === undefined || localPart === '' ? 'postmaster' : localPart
    const values: MacroValues = {
      s: `${local}@${this.#origin}`,
      l: local,
      o: this.#origin,
      d: domain,
      i: dottedAddress(clientIp),
      p: usesValidatedName(spec) ? yield* this.#validatedName(domain) : NO_NAME,
      v: familyOf(clientIp) === 4 ? 'in-addr' : 'ip6',
      h: helo,
    }
    return expandDomain(spec, values)
  }

  /** The domain itself, a name below it, or any. */
  *#validatedName(domain: string): DnsDialogue<string> {
    const names = yield* this.#clientNames(false)
    const wanted = domain.toLowerCase()
    return (
      names.find((name) => name === wanted) ??
      names.find((name) => name.endsWith(`.${wanted}`)) ??
      names[0] ??
      NO_NAME
    )
  }

  /** In lower case. A failure here means fewer names, never an error. Source: RFC 7208 section 5.5. */
  *#clientNames(isTerm: boolean): DnsDialogue<readonly string[]> {
    if (this.#validNames !== undefined) return this.#validNames
    const { status, names } = yield* clientNames(this.#request.clientIp)
    if (isTerm && status === 'none') this.#countVoid()
    this.#validNames = names
    return this.#validNames
  }
}

function addressType(clientIp: string): 'A' | 'AAAA' {
  return familyOf(clientIp) === 4 ? 'A' : 'AAAA'
}
