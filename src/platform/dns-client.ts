/**
 * The one owner of the resolver of node:dns: asks the machine's name servers, or those it was told, without blocking and within named
 * limits, and keeps the answers for as long as they may be kept.
 *
 * node:dns tells the time to live of addresses alone: other answers are kept for five minutes, which is what busy mail
 * domains publish (docs/adr/0013-spf-and-dns.md).
 */
import { promises as dns, type MxRecord } from 'node:dns'
import type { DnsAnswer, DnsDialogue, DnsQuestion } from '../codec/dns/dns-question.js'
import type { Clock } from './clock.js'

/** Bounds of one client. */
export interface DnsLimits {
  /** Time for one try at one server, and tries at each. */
  tryMs: number
  tries: number
  /** Questions at a time on the network; further ones wait, and beyond `maxWaiting` fail at once. */
  maxOpen: number
  maxWaiting: number
  /** Estimate of the memory that kept answers take; the oldest go first. */
  maxCacheBytes: number
}

const DEFAULT_LIMITS: DnsLimits = {
  tryMs: 800,
  tries: 2,
  maxOpen: 64,
  maxWaiting: 512,
  maxCacheBytes: 16 * 1024 * 1024,
}

/** Longest time that an answer is kept, and shortest: a check asks for the same name again within a second. */
const MAX_TTL_SEC = 3600
const MIN_TTL_SEC = 1
/** For answers whose time to live node:dns does not tell. */
const UNTOLD_TTL_SEC = 300
/** That a name or a record is not there. Source: RFC 2308 section 5 leaves hours; a new record should show soon. */
const NONE_TTL_SEC = 60
/** A server that fails is not asked the same again at once. */
const FAILED_TTL_SEC = 5
/** The system's list of servers is read again after so long. */
const RENEW_MS = 60_000
/** What an entry of the cache takes beside its texts. */
const ENTRY_BYTES = 200
/** Codes of node:dns for a name, or a record, that is not there; names that nobody can ask for among them. */
const NONE_CODES: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME'])
/** Characters of names that are asked for: a backslash would be read as the beginning of an escape. */
const ASKED_NAME = /^[a-z0-9_.-]+$/

/** Counted since the start. */
export interface DnsCounters {
  /** Questions that went out. */
  asked: number
  /** Of those: answered, if only that there is none. */
  answered: number
  /** Answered from the cache, or together with the same question of another. */
  cached: number
  /** Of those asked: without an answer. */
  failed: number
  /** Not asked, since too many were waiting. */
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
  /** `ADDRESS` or `ADDRESS:PORT`, IPv6 in brackets with a port; none: those of the system. */
  servers?: readonly string[] | undefined
  limits?: Partial<DnsLimits> | undefined
}

/** Asks DNS for whoever has it; close it at the end. */
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

  /** Bytes that the kept answers take, as estimated. */
  get cacheBytes(): number {
    return this.#cacheBytes
  }

  /** The answer that is kept; undefined when there is none. */
  peek({ type, name }: DnsQuestion): DnsAnswer | undefined {
    const kept = this.#cache.get(`${type} ${name}`)
    return kept !== undefined && kept.untilMs > this.#clock.monotonicMs() ? kept.answer : undefined
  }

  /** The answer, from the cache when it is there. Never rejects: what goes wrong is `failed`. */
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

  /** Feeds a dialogue until it has its result; undefined when that takes longer than `timeoutMs`. */
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

  /** Ends what is open as `failed`; nothing is asked afterwards. */
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
      // The place goes to the one who waits longest.
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

  /** A new one reads the system's list of servers, which may change while a daemon runs for years. */
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
