/**
 * Assembles spamd: the SMTP server, the block lists with their configuration port and Unix socket, and,
 * unless -b, the greylister and the scanner on the database. It has no privileges: sockets and files come
 * from `SpamdResources`, the packet filter from `Firewall`.
 */
import type { Server } from 'node:net'
import type { DeliveredList } from '../app/lists/delivered-lists.js'
import type { SpamdConfig } from '../app/spamd-config.js'
import { escapeControl } from '../codec/escape.js'
import type { Firewall } from '../firewall/backend.js'
import { type Network, parseCidr } from '../ip/cidr.js'
import { AppError, errnoOf } from '../platform/app-error.js'
import type { Clock } from '../platform/clock.js'
import { databaseOwnerHint } from '../platform/database-place.js'
import { reasonOf } from '../platform/errno-text.js'
import type { Logger } from '../platform/log.js'
import type { OpenedSenderChecks } from './checks/open-sender-checks.js'
import { createControlHandlers } from './control-handlers.js'
import { createControlServer } from './control-server.js'
import type { DebugOutput } from './debug-output.js'
import type { Greylister } from './grey/greylister.js'
import type { Scanner } from './grey/scanner.js'
import { type GreyParts, openGreyParts } from './grey-parts.js'
import { policyOf } from './grey-policy.js'
import { BlockLists } from './lists/block-lists.js'
import { createConfigServer } from './lists/config-server.js'
import { HourlyTotals } from './metrics/hourly-totals.js'
import { MetricsService } from './metrics/metrics-service.js'
import type { SpamdResources } from './process/spamd-resources.js'
import { ServiceFiles } from './service-files.js'
import { SmtpServer } from './smtp/smtp-server.js'
import { type OpenedStore, StoreKeeper } from './store/store-keeper.js'
import type { SyncParts, SyncService } from './sync/sync-parts.js'

export interface SpamdServiceParts {
  config: SpamdConfig
  clock: Clock
  logger: Logger
  /** Set with -d. */
  debug?: DebugOutput | undefined
  firewall: Firewall
  resources: SpamdResources
  openStore: () => Promise<OpenedStore>
  /** Since when the gateway has been without its database server. */
  aloneSinceSec?: (() => number | undefined) | undefined
  /** The last good copies of the block lists, or none. */
  loadSavedLists?: () => Promise<DeliveredList[]>
  /** Present with -Y or -y. */
  createSync?: ((parts: SyncParts) => SyncService) | undefined
  /** False: changes by other programs wait for the scan, as in the original (its transcripts). */
  followsChanges?: boolean
  /** Real time between ticks of the stutter wheel, for clocks that run faster than time (tests). */
  tickMs?: number
}

const NO_DEBUG: DebugOutput = { out: () => undefined, err: () => undefined }

/** One running spamd. `start` once, `stop` once. */
export class SpamdService {
  readonly blockLists: BlockLists
  readonly smtp: SmtpServer
  /** The first scan. */
  #filled: Promise<void> | undefined
  readonly #parts: SpamdServiceParts
  /** Undefined with -b. */
  readonly #grey: GreyParts | undefined
  #stopWatching: (() => void) | undefined
  readonly #sync: SyncService | undefined
  readonly #metrics: MetricsService
  readonly #files: ServiceFiles
  /** Undefined with -b. */
  readonly #hourlyTotals: HourlyTotals | undefined
  readonly #configServer: Server
  readonly #controlServer: Server
  #startedSec = 0

  constructor(parts: SpamdServiceParts) {
    const { config, clock, logger, debug, resources } = parts
    this.#parts = parts
    this.blockLists = new BlockLists({ logger, debug })
    const policy = policyOf(config)
    const keeper = config.isBlackOnly ? undefined : new StoreKeeper({ open: parts.openStore, logger })
    const grey = keeper && { keeper, greylister: () => this.greylister! }
    this.#sync = parts.createSync?.({ config, clock, logger, debug, resources, policy, grey })
    this.#grey =
      keeper &&
      openGreyParts({ ...parts, keeper, policy, blockLists: this.blockLists, sync: this.#sync?.announcer })
    const { greylister, scanner, senders } = this
    const { whiteTable, pools } = this.#grey ?? {}
    this.smtp = new SmtpServer({
      options: config,
      dialogue: config,
      secureContext: undefined,
      clock,
      logger,
      debug: debug ?? NO_DEBUG,
      lists: this.blockLists,
      sink: greylister,
      proxyPeers: config.proxyPeers.map(networkOfText),
      openListeners: () => resources.openSmtpListeners(),
      canReopen: config.listenFds.length === 0,
      ...(parts.tickMs === undefined ? {} : { tickMs: parts.tickMs }),
    })
    const sync = this.#sync
    this.#metrics = new MetricsService({
      config,
      clock,
      smtp: this.smtp,
      blockLists: this.blockLists,
      greylister,
      scanner,
      whiteTable,
      pools,
      senders,
      syncStatus: sync && (() => sync.status()),
    })
    const { smtp } = this
    if (keeper !== undefined && greylister !== undefined)
      this.#hourlyTotals = new HourlyTotals({ smtp, greylister, keeper, clock })
    this.#files = new ServiceFiles({
      config,
      logger,
      resources,
      loadSavedLists: parts.loadSavedLists,
      smtp,
      blockLists: this.blockLists,
      greylister,
      senders,
    })
    const configuration = { blockLists: this.blockLists, logger, debug }
    this.#configServer = createConfigServer(configuration)
    const handlers = createControlHandlers({
      config,
      smtp,
      blockLists: this.blockLists,
      greylister,
      scanner,
      whiteTable,
      pools,
      senders,
      metrics: this.#metrics,
      sync,
      startedSec: () => this.#startedSec,
      aloneSinceSec: parts.aloneSinceSec ?? (() => undefined),
    })
    this.#controlServer = createControlServer({ ...configuration, handlers })
  }

  /** Undefined with -b. */
  get greylister(): Greylister | undefined {
    return this.#grey?.greylister
  }

  /** Undefined with -b. */
  get scanner(): Scanner | undefined {
    return this.#grey?.scanner
  }

  /** Undefined with -b, and if no option needs DNS checks of senders. */
  get senders(): OpenedSenderChecks | undefined {
    return this.#grey?.senders
  }

  /**
   * Opens everything, then accepts clients and scans for the first time. Rejects with `AppError` when something
   * cannot be opened; what was opened is closed again.
   */
  async start(): Promise<void> {
    try {
      await this.#open()
    } catch (error) {
      await this.stop()
      throw error
    }
    this.#startedSec = this.#parts.clock.nowSec()
    this.#parts.logger.log('warning', 'listening for incoming connections.', { event: 'ready' })
    this.#parts.debug?.out('listening for incoming connections.')
    // Before the first scan: changes while it runs must not be missed.
    await this.#grey?.follower?.start()
    this.#stopWatching = this.#grey && this.#parts.firewall.watchLoss(this.#grey.refillTable)
    await this.#grey?.whiteFile?.ensure()
    this.#filled = this.scanner?.start()
    this.#hourlyTotals?.start()
  }

  /** Checks now for changes by other programs. */
  lookForChanges(): void {
    void this.#grey?.follower?.poll()
  }

  /** See `SpamdInstance`. */
  async filled(): Promise<void> {
    await this.#filled
  }

  async #open(): Promise<void> {
    const { resources, config, logger } = this.#parts
    await this.#files.applyTls()
    if (this.#grey !== undefined) {
      try {
        await this.#grey.keeper.use(async () => undefined)
      } catch (error) {
        const text = `open of ${config.settings.db} failed (${escapeControl(reasonOf(error))})`
        logger.log('err', text)
        throw new AppError('ERR_SPAMD_DB', text, {
          hint: (error instanceof AppError ? error.hint : undefined) ?? hintForRights(error, config),
          cause: error,
        })
      }
      await this.#files.applyAllowedDomains()
    }
    await this.#files.loadSavedLists()
    await this.#files.loadSpfDomains()
    await this.#startSync()
    await this.#startMetrics()
    await this.smtp.start()
    await resources.listenConfig(this.#configServer)
    try {
      await resources.listenControl(this.#controlServer)
    } catch (error) {
      // Another spamd on the same machine would share database and tables with this one.
      const isTaken = error instanceof AppError && error.code === 'ERR_CONTROL_SOCKET_TAKEN'
      if (config.isControlSocketGiven || isTaken) throw error
      // The original has no such socket: mail must not stop because of one that was not requested.
      logger.log('warning', `${reasonOf(error)}: setup and status commands cannot reach this daemon`)
    }
  }

  /** Mail must not stop because monitoring fails. */
  async #startMetrics(): Promise<void> {
    try {
      await this.#metrics.start()
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      const hint = error.hint === undefined ? '' : ` (${error.hint})`
      const text = `running without metrics: ${escapeControl(error.message + hint)}`
      this.#parts.logger.log('err', text, { event: 'metrics-off' })
    }
  }

  /** A key that cannot be read is no reason to stop mail: spamd then runs without synchronisation. */
  async #startSync(): Promise<void> {
    try {
      await this.#sync?.start()
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'ERR_SYNC_KEY') throw error
      const hint = error.hint === undefined ? '' : ` (${error.hint})`
      this.#parts.logger.log(
        'err',
        `running without synchronisation: ${escapeControl(error.message + hint)}`,
        {
          event: 'sync-off',
        },
      )
    }
  }

  /**
   * SIGHUP: allowed domains, certificate and key, synchronisation key, block lists. If one fails, the current
   * content is kept.
   */
  async reload(): Promise<void> {
    const { logger, resources } = this.#parts
    const steps: [string, () => Promise<void>][] = [
      ['certificate', () => this.#files.applyTls()],
      ['block lists', () => this.#files.loadSavedLists()],
    ]
    if (this.greylister !== undefined)
      steps.push(['allowed domains', () => this.#files.applyAllowedDomains()])
    if (this.senders !== undefined) steps.push(['SPF domains', () => this.senders!.loadDomains(resources)])
    if (this.#sync !== undefined) steps.push(['synchronisation key', () => this.#sync!.reload()])
    for (const [name, step] of steps) {
      try {
        await step()
      } catch (error) {
        logger.log('err', `reload of ${name} failed: ${escapeControl(reasonOf(error))}`)
      }
    }
    void this.scanner?.scan()
    logger.log('info', 'reloaded', { event: 'reloaded' })
  }

  /** Ends all connections, writes pending data and closes the database. The tables are left unchanged. */
  async stop(): Promise<void> {
    this.#metrics.stop()
    this.smtp.close()
    this.#configServer.close()
    this.#controlServer.close()
    this.#stopWatching?.()
    await this.#sync?.stop()
    await this.#grey?.follower?.stop()
    await this.scanner?.stop()
    await this.greylister?.close()
    await this.senders?.checks.close()
    await this.#hourlyTotals?.stop()
    await this.#grey?.whiteTable.close()
    await this.#grey?.pools.close()
    await this.#grey?.keeper.close()
    await this.#parts.logger.flush()
  }

  /** SIGUSR1, SIGINFO: one line with all counters. */
  logStatistics(): void {
    const { total, black } = this.smtp.counts
    const counters: [string, number][] = [
      ['connections', total],
      ['black', black],
      ...Object.entries(this.smtp.counters),
      ...Object.entries(this.greylister?.counters ?? {}),
      ['waiting', this.greylister?.waitingCount ?? 0],
      ['lists', this.blockLists.summaries().length],
      ['rss_kib', Math.round(process.memoryUsage.rss() / 1024)],
    ]
    const texts = counters.map(([name, value]) => `${name}=${value}`)
    this.#parts.logger.log(
      'info',
      `statistics ${[...texts, ...(this.#sync?.statistics() ?? [])].join(' ')}`,
      { event: 'statistics', ...Object.fromEntries(counters) },
    )
  }
}

/** The most common mistake at a first start: file or folder belong to root. */
function hintForRights(error: unknown, { settings }: SpamdConfig): string | undefined {
  if (errnoOf(error) !== 'EACCES') return undefined
  return databaseOwnerHint(settings.user, settings.db)
}

function networkOfText(text: string): Network {
  const network = parseCidr(text)
  if (network === undefined) throw new AppError('ERR_SPAMD_OPTION', `${text}: not a network`)
  return network
}
