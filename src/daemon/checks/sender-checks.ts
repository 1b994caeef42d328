/**
 * DNS checks of greylisted clients: SPF of the sender, allow lists, and block lists that keep a client
 * waiting. They are made after the attempt is recorded and the client answered, within a budget, and the
 * result is stored in the database as a finding about that attempt. If DNS does not answer in time, ordinary
 * greylisting applies.
 *
 * An attempt is not checked when its client has used up its budget or too many wait: the next one is.
 */

import { escapeControl } from '../../codec/escape.js'
import type { AttemptFinding, GreyPolicy, TupleAttempt, TupleOutcome } from '../../db/store.js'
import type { Tuple } from '../../domain/entry.js'
import { familyOf } from '../../ip/address.js'
import { networkText } from '../../ip/cidr.js'
import type { Clock, UnixSec } from '../../platform/clock.js'
import type { DnsClient } from '../../platform/dns-client.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import { RateLimitedLog } from '../rate-limited-log.js'
import type { BlockListLookup, PoolState, RecordedAttempt, SenderCheckSink, SyncAnnouncer } from '../seams.js'
import { BatchWriter, type WriterPace } from '../store/batch-writer.js'
import { FairQueue } from '../store/fair-queue.js'
import type { StoreAccess } from '../store/store-keeper.js'
import { CheckBudget } from './check-budget.js'
import type { DnsLists } from './dns-lists.js'
import type { SpfChecker, SpfOpinion } from './spf-checker.js'

/** Maximum number of concurrent checks, and of those waiting. */
const MAX_RUNNING = 32
const MAX_WAITING = 1_000
/** The mail of a small site in total, and the needs of a server that sends to many recipients at once. */
const BUDGET = { overall: { burst: 500, perSec: 50 }, perClient: { burst: 60, perSec: 0.5 } }
/** Maximum number of findings waiting for the database. */
const QUEUE_LIMITS = { maxCount: 10_000, maxBytes: 16 * 1024 * 1024 }
/** Nobody waits for these: findings within 50 ms are written together. */
const PACE: WriterPace = { fullBatch: 500, companyMs: 50, companyFrom: 2 }
/** How long to wait at the end for a locked database. */
const CLOSE_WAIT_MS = 2_000
const SOURCE_PREFIX = { 4: 24, 6: 64 } as const

/** Results of SPF that are counted. */
const SPF_RESULTS = [
  'pass',
  'fail',
  'softfail',
  'neutral',
  'none',
  'temperror',
  'permerror',
  'too-wide',
] as const satisfies readonly SpfOpinion['result'][]

/** Counted since the start. */
export interface SenderCheckCounters {
  spf: Record<(typeof SPF_RESULTS)[number], number>
  /** Attempts that were not checked: budget or queue were full. */
  skipped: number
  /** Clients on an allow list. */
  allowListed: number
  /** Attempts of clients that a block list keeps waiting. */
  held: number
  /** Addresses that became WHITE by a finding. */
  promoted: number
  /** Further addresses of domains that were opened or extended. */
  opened: number
  trapped: number
}

export interface SenderChecksOptions {
  dns: DnsClient
  /** --grey-spf; undefined: off. */
  spf: SpfChecker | undefined
  /** --spf-fail trap */
  trapsSpfFail: boolean
  /** --dnswl */
  goodLists: DnsLists
  /** --dnsbl */
  waitLists: DnsLists
  blockLists: BlockListLookup
  useStore: StoreAccess
  /** Path that log lines name. */
  databasePath: string
  policy: GreyPolicy
  clock: Clock
  logger: Logger
  sync: Pick<SyncAnnouncer, 'announceHost'> | undefined
  onPromoted: (ip: string) => void
  onPool: (network: string, state: PoolState) => void
}

interface WaitingCheck {
  attempt: TupleAttempt
  atSec: UnixSec
  /** It may pass unless a list forbids it. */
  isDue: boolean
  /** False for a tuple that only a list kept from passing. */
  asksSender: boolean
}

interface QueuedFinding {
  finding: AttemptFinding
  atSec: UnixSec
}

export class SenderChecks implements SenderCheckSink {
  readonly counters: SenderCheckCounters = {
    spf: Object.fromEntries(SPF_RESULTS.map((result) => [result, 0])) as SenderCheckCounters['spf'],
    skipped: 0,
    allowListed: 0,
    held: 0,
    promoted: 0,
    opened: 0,
    trapped: 0,
  }
  readonly #options: SenderChecksOptions
  readonly #budget: CheckBudget
  readonly #limited: RateLimitedLog
  readonly #waiting: WaitingCheck[] = []
  readonly #queue: FairQueue<QueuedFinding>
  readonly #writer: BatchWriter<readonly QueuedFinding[], TupleOutcome[]>
  readonly #running = new Set<Promise<void>>()
  #isClosed = false

  constructor(options: SenderChecksOptions) {
    this.#options = options
    this.#budget = new CheckBudget(options.clock, BUDGET)
    this.#limited = new RateLimitedLog(options.logger, options.clock)
    this.#queue = new FairQueue({
      limits: QUEUE_LIMITS,
      maxBatch: PACE.fullBatch,
      sourceOf: ({ finding: { attempt } }) => ({
        network: networkText(attempt.clientIp, SOURCE_PREFIX[familyOf(attempt.clientIp)]),
        client: attempt.clientIp,
      }),
      sizeOf: ({ finding: { attempt } }) => attempt.tuple.from.length + attempt.tuple.to.length,
      groupOf: ({ atSec }) => atSec,
    })
    this.#writer = new BatchWriter({
      work: this.#queue,
      pace: PACE,
      clock: options.clock,
      write: (batch) => this.#write(batch),
      onWritten: (batch, outcomes) => {
        for (const [index, queued] of batch.entries()) this.#report(queued, outcomes[index]!)
      },
      onFailed: ({ error }) => {
        const reason = escapeControl(reasonOf(error))
        const text = `can't add DNS results to ${options.databasePath} (${reason})`
        this.#limited.log('finding-failed', 'err', text)
      },
      onRecovered: () => this.#limited.reset('finding-failed'),
    })
  }

  /** Checks that are waiting or running, and findings that wait for the database. */
  get openCount(): number {
    return this.#waiting.length + this.#running.size + this.#queue.length
  }

  mayPromote(ip: string): boolean {
    return this.#options.waitLists.known(ip) === 'unlisted'
  }

  noteRecorded({ attempt, atSec, isRepeated }: RecordedAttempt): void {
    this.#enqueue({ attempt, atSec, isDue: isRepeated, asksSender: true })
  }

  recheck(tuple: Tuple): void {
    const attempt: TupleAttempt = {
      tuple,
      clientIp: tuple.ip,
      trapKey: '',
      isDomainTrap: false,
      isLowPriorityMx: false,
      mayPromote: false,
    }
    this.#enqueue({ attempt, atSec: this.#options.clock.nowSec(), isDue: true, asksSender: false })
  }

  /** Starts no more checks, and writes findings as far as the database permits. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#waiting.length = 0
    this.#options.dns.close()
    await Promise.all(this.#running)
    await this.#writer.close(CLOSE_WAIT_MS)
  }

  #enqueue(check: WaitingCheck): void {
    const { clientIp, mayPromote, tuple } = check.attempt
    if (this.#isClosed || (mayPromote && !this.#hasQuestions(tuple))) return
    if (this.#waiting.length >= MAX_WAITING || !this.#budget.take(clientIp)) {
      this.counters.skipped += 1
      return
    }
    this.#waiting.push(check)
    this.#fill()
  }

  /** False when DNS cannot make a difference, because the attempt may pass already. */
  #hasQuestions({ ip, helo, from }: Tuple): boolean {
    const { goodLists, spf } = this.#options
    return goodLists.isInUse || spf?.isWanted({ clientIp: ip, helo, from }) === true
  }

  #fill(): void {
    while (this.#running.size < MAX_RUNNING) {
      const check = this.#waiting.shift()
      if (check === undefined) return
      const running = this.#check(check).finally(() => {
        this.#running.delete(running)
        this.#fill()
      })
      this.#running.add(running)
    }
  }

  async #check({ attempt, atSec, isDue, asksSender }: WaitingCheck): Promise<void> {
    const { waitLists, goodLists, blockLists, trapsSpfFail } = this.#options
    const { clientIp } = attempt
    const [isHeld, isGood, spf] = await Promise.all([
      waitLists.has(clientIp),
      asksSender && goodLists.has(clientIp),
      asksSender ? this.#askSpf(attempt.tuple) : undefined,
    ])
    if (isHeld) this.counters.held += 1
    if (isGood) this.counters.allowListed += 1
    const finding: AttemptFinding = {
      attempt: { ...attempt, mayPromote: !isHeld && blockLists.match(clientIp).length === 0 },
      spfPass: spf?.result === 'pass' ? { domain: spf.domain, isOfDomain: spf.isOfDomain } : undefined,
      isSpfFail: trapsSpfFail && spf?.result === 'fail',
      isAllowListed: isGood,
    }
    const isFreed = isDue && !attempt.mayPromote && finding.attempt.mayPromote
    if (isFreed || changesSomething(finding)) this.#store({ finding, atSec })
  }

  #store(queued: QueuedFinding): void {
    const dropped = this.#queue.push(queued)
    this.counters.skipped += dropped.length
    this.#writer.notify()
  }

  async #askSpf({ ip, helo, from }: Tuple): Promise<SpfOpinion | undefined> {
    const { spf, logger } = this.#options
    const sender = { clientIp: ip, helo, from }
    if (spf?.isWanted(sender) !== true) return undefined
    const opinion = await spf.check(sender)
    const { result, domain } = opinion
    this.counters.spf[result] += 1
    logger.log('debug', `SPF of ${domain} for ${ip}: ${result}`, { event: 'spf', ip, domain, result })
    return opinion
  }

  async #write(batch: readonly QueuedFinding[]): Promise<TupleOutcome[]> {
    const findings = batch.map(({ finding }) => finding)
    const { outcomes } = await this.#options.useStore((store) =>
      store.recordFindings(findings, this.#options.policy, batch[0]!.atSec),
    )
    return outcomes
  }

  #report({ finding }: QueuedFinding, outcome: TupleOutcome): void {
    const { logger, onPromoted, onPool, sync } = this.#options
    const { clientIp: ip, tuple } = finding.attempt
    const domain = finding.spfPass?.domain
    if (outcome.result === 'trapped-spf') {
      this.counters.trapped += 1
      const text = `trapping ${ip}: SPF fails for ${escapeControl(tuple.from)}`
      logger.log('info', text, { event: 'trapped', rule: 'spf-fail', ...tuple })
      sync?.announceHost(ip, { kind: 'TRAPPED', expire: outcome.trapExpire! })
    }
    for (const network of outcome.closed ?? []) onPool(network, 'closed')
    for (const network of outcome.opened ?? []) {
      this.counters.opened += 1
      const by = domain === undefined ? '' : ` by SPF of ${domain}`
      logger.log('info', `pool ${network} opened${by}`, { event: 'pool-opened', network, domain, ip })
      onPool(network, 'open')
    }
    if (outcome.result !== 'promoted') return
    if (outcome.isNewHost) {
      this.counters.promoted += 1
      const by = outcome.waitedSec === undefined ? 'a DNS allow list' : domain && `SPF of ${domain}`
      logger.log('info', `whitelisting ${ip}${by === undefined ? '' : ` by ${by}`}`, {
        event: 'whitelisted',
        ip,
        domain,
      })
    }
    onPromoted(ip)
  }
}

/** True if DNS returned a result that the store acts on. */
function changesSomething({ isAllowListed, spfPass, isSpfFail }: AttemptFinding): boolean {
  return isAllowListed === true || spfPass !== undefined || isSpfFail === true
}
