/**
 * The only user of the resolver of node:dns: queries the machine's name servers, or given ones, without
 * blocking and within limits, and caches the answers.
 *
 * node:dns reports the time to live only for addresses: other answers are cached for five minutes, which is
 * what busy mail domains publish (docs/adr/0013-spf-and-dns.md).
 */
import { promises as dns, type MxRecord } from 'node:dns'
import type { DnsAnswer, DnsDialogue, DnsQuestion } from '../codec/dns/dns-question.js'
import type { Clock } from './clock.js'

/** Bounds of one client. */
export interface DnsLimits {
  /** Time for one attempt at one server, and attempts at each. */
  tryMs: number
  tries: number
  /** Number of queries on the network at a time; further ones wait, and beyond `maxWaiting` fail at once. */
  maxOpen: number
  maxWaiting: number
  /** Estimated memory of cached answers; the oldest are removed first. */
  maxCacheBytes: number
}

const DEFAULT_LIMITS: DnsLimits = {
  tryMs: 800,
  tries: 2,
  maxOpen: 64,
  maxWaiting: 512,
  maxCacheBytes: 16 * 1024 * 1024,
}

/**
 * Maximum and minimum time that an answer is cached: a check asks for the same name again within a second.
 */
const MAX_TTL_SEC = 3600
const MIN_TTL_SEC = 1
/** For answers whose time to live node:dns does not report. */
const UNTOLD_TTL_SEC = 300
/** For negative answers. Source: RFC 2308 section 5 allows hours; a new record should show soon. */
const NONE_TTL_SEC = 60
/** A failed query is not repeated at once. */
const FAILED_TTL_SEC = 5
/** The system's list of servers is read again after this time. */
const RENEW_MS = 60_000
/** Size of a cache entry without its texts. */
const ENTRY_BYTES = 200
/**
 * Codes of node:dns for a name, or a record, that does not exist; including names that cannot be looked up.
 */
const NONE_CODES: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME'])
/** Characters of names that can be queried: a backslash would be read as the start of an escape. */
const ASKED_NAME = /^[a-z0-9_.-]+$/

/** Counted since the start. */
export interface DnsCounters {
  /** Questions that went out. */
  asked: number
  /** Of those: answered, including negative answers. */
  answered: number
  /** Answered from the cache, or together with the same query by another caller. */
  cached: number
  /** Of the queries sent: without an answer. */
  failed: number
  /** Not sent, because too many were waiting. */
  refused: number
}

interface Kept {
  answer: DnsAnswer
  untilMs: number
  bytes: number
}

interface Told {
  answer: DnsAnswer
  ttlSec: number
}

export interface DnsClientOptions {
  clock: Clock
  /** `ADDRESS` or `ADDRESS:PORT`, IPv6 in brackets with a port; empty: those of the system. */
  servers?: readonly string[] | undefined
  limits?: Partial<DnsLimits> | undefined
}

/** Sends DNS queries for all users; close it at the end. */
export class DnsClient {
  readonly counters: DnsCounters = { asked: 0, answered: 0, cached: 0, failed: 0, refused: 0 }
  readonly #clock: Clock
  readonly #servers: readonly string[]
  readonly #limits: DnsLimits
  readonly #cache = new Map<string, Kept>()
  readonly #open = new Map<string, Promise<DnsAnswer>>()
  readonly #waiting: (() => void)[] = []
  #cacheBytes = 0
  #onNetwork = 0
  #isClosed = false
  #resolver: dns.Resolver
  #resolverMs: number

  constructor({ clock, servers = [], limits = {} }: DnsClientOptions) {
    this.#clock = clock
    this.#servers = servers
    this.#limits = { ...DEFAULT_LIMITS, ...limits }
    this.#resolver = this.#newResolver()
    this.#resolverMs = clock.monotonicMs()
  }

  /** Estimated size of the cached answers in bytes. */
  get cacheBytes(): number {
    return this.#cacheBytes
  }

  /** The cached answer; undefined when there is none. */
  peek({ type, name }: DnsQuestion): DnsAnswer | undefined {
    const kept = this.#cache.get(`${type} ${name}`)
    return kept !== undefined && kept.untilMs > this.#clock.monotonicMs() ? kept.answer : undefined
  }

  /** The answer, from the cache if possible. Never rejects: errors are `failed`. */
  ask(question: DnsQuestion): Promise<DnsAnswer> {
    const kept = this.peek(question)
    if (kept !== undefined) {
      this.counters.cached += 1
      return Promise.resolve(kept)
    }
    const key = `${question.type} ${question.name}`
    const open = this.#open.get(key)
    if (open !== undefined) {
      this.counters.cached += 1
      return open
    }
    if (!ASKED_NAME.test(question.name)) return Promise.resolve({ status: 'none' })
    const asking = this.#askNetwork(key, question).finally(() => this.#open.delete(key))
    this.#open.set(key, asking)
    return asking
  }

  /** Runs a dialogue until it has its result; undefined when that takes longer than `timeoutMs`. */
  async run<Result>(dialogue: DnsDialogue<Result>, timeoutMs: number): Promise<Result | undefined> {
    let isLate = false
    const feed = async (): Promise<Result | undefined> => {
      let step = dialogue.next([])
      while (step.done !== true) {
        const answers = await Promise.all(step.value.map((question) => this.ask(question)))
        if (isLate) return undefined
        step = dialogue.next(answers)
      }
      return step.value
    }
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => {
        isLate = true
        resolve(undefined)
      }, timeoutMs)
    })
    return await Promise.race([feed(), late]).finally(() => clearTimeout(timer))
  }

  /** Ends open queries as `failed`; no further ones are sent. */
  close(): void {
    this.#isClosed = true
    this.#resolver.cancel()
    for (const begin of this.#waiting.splice(0)) begin()
  }

  async #askNetwork(key: string, question: DnsQuestion): Promise<DnsAnswer> {
    const { maxOpen, maxWaiting } = this.#limits
    if (this.#onNetwork >= maxOpen) {
      if (this.#waiting.length >= maxWaiting) {
        this.counters.refused += 1
        return { status: 'failed' }
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    } else this.#onNetwork += 1
    try {
      if (this.#isClosed) return { status: 'failed' }
      this.counters.asked += 1
      const { answer, ttlSec } = await this.#tell(question)
      if (answer.status === 'failed') this.counters.failed += 1
      else this.counters.answered += 1
      this.#keep(key, answer, ttlSec)
      return answer
    } finally {
      // The slot goes to the caller that has waited longest.
      const next = this.#waiting.shift()
      if (next === undefined) this.#onNetwork -= 1
      else next()
    }
  }

  async #tell(question: DnsQuestion): Promise<Told> {
    try {
      return found(await lookUp(this.#currentResolver(), question))
    } catch (error) {
      const isNone = NONE_CODES.has((error as NodeJS.ErrnoException).code ?? '')
      return isNone
        ? { answer: { status: 'none' }, ttlSec: NONE_TTL_SEC }
        : { answer: { status: 'failed' }, ttlSec: FAILED_TTL_SEC }
    }
  }

  /** A new one reads the system's list of servers, which may change while a daemon runs. */
  #currentResolver(): dns.Resolver {
    const nowMs = this.#clock.monotonicMs()
    if (this.#servers.length === 0 && nowMs - this.#resolverMs >= RENEW_MS) {
      this.#resolver = this.#newResolver()
      this.#resolverMs = nowMs
    }
    return this.#resolver
  }

  #newResolver(): dns.Resolver {
    const resolver = new dns.Resolver({ timeout: this.#limits.tryMs, tries: this.#limits.tries })
    if (this.#servers.length > 0) resolver.setServers(this.#servers)
    return resolver
  }

  #keep(key: string, answer: DnsAnswer, ttlSec: number): void {
    const texts = answer.status === 'found' ? answer.values : []
    const bytes = texts.reduce((sum, text) => sum + text.length + 16, key.length + ENTRY_BYTES)
    this.#forget(key)
    this.#cache.set(key, { answer, untilMs: this.#clock.monotonicMs() + ttlSec * 1000, bytes })
    this.#cacheBytes += bytes
    for (const oldest of this.#cache.keys()) {
      if (this.#cacheBytes <= this.#limits.maxCacheBytes) break
      this.#forget(oldest)
    }
  }

  #forget(key: string): void {
    const kept = this.#cache.get(key)
    if (kept === undefined) return
    this.#cacheBytes -= kept.bytes
    this.#cache.delete(key)
  }
}

interface Values {
  values: readonly string[]
  ttlSec: number
}

async function lookUp(resolver: dns.Resolver, { type, name }: DnsQuestion): Promise<Values> {
  switch (type) {
    case 'A':
    case 'AAAA': {
      const records = await (type === 'A'
        ? resolver.resolve4(name, { ttl: true })
        : resolver.resolve6(name, { ttl: true }))
      const ttlSec = records.reduce((least, { ttl }) => Math.min(least, ttl), MAX_TTL_SEC)
      return { values: records.map(({ address }) => address), ttlSec }
    }
    case 'MX':
      return { values: byPreference(await resolver.resolveMx(name)), ttlSec: UNTOLD_TTL_SEC }
    case 'PTR':
      return { values: await resolver.resolvePtr(name), ttlSec: UNTOLD_TTL_SEC }
    case 'TXT': {
      const records = await resolver.resolveTxt(name)
      return { values: records.map((strings) => strings.join('')), ttlSec: UNTOLD_TTL_SEC }
    }
  }
}

function byPreference(records: readonly MxRecord[]): string[] {
  return [...records].sort((one, other) => one.priority - other.priority).map(({ exchange }) => exchange)
}

function found({ values, ttlSec }: Values): Told {
  if (values.length === 0) return { answer: { status: 'none' }, ttlSec: NONE_TTL_SEC }
  return { answer: { status: 'found', values }, ttlSec: Math.max(MIN_TTL_SEC, ttlSec) }
}
