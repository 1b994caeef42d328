/** Puts a run of spamd-setup together from its settings. */
import { DEFAULT_FEED_LIMITS, FeedError } from '../../feeds/feed.js'
import { FeedFetcher } from '../../feeds/feed-fetcher.js'
import type { Firewall } from '../../firewall/backend.js'
import type { Clock } from '../../platform/clock.js'
import { currentSystem, type Environment, SETTING_TABLE, type Settings } from '../../platform/settings.js'
import type { Configuration, Problem } from './configured-list.js'
import type { ConfigTarget, DeliveryTimeouts } from './deliver-lists.js'
import { type RefreshOptions, refreshLists } from './refresh-lists.js'
import type { RefreshObserver, RefreshReport } from './refresh-report.js'
import type { ListFetcher } from './settle-source.js'

/** Whom programs run as when the user of spamd does not exist and no other was named. */
const FALLBACK_USER = 'nobody'

export interface SetupRequest
  extends Pick<
    RefreshOptions,
    'isDryRun' | 'wantsChanges' | 'wantsCounts' | 'isForced' | 'isOffline' | 'canShrink' | 'output' | 'waitMs'
  > {
  settings: Settings
  configuration: Configuration
  /** -b */
  wantsFirewall: boolean
  /** Instead of the configuration port. */
  configSocket: string | undefined
  maxBytes: number | undefined
  timeoutMs: number | undefined
}

/** What a run touches of the machine, so that tests can stand in for it. */
export interface SetupWorld {
  clock: Clock
  environment: Environment
  /** Version of the package, for the user agent. */
  version(): string
  observer: RefreshObserver
  sleep(durationMs: number): Promise<void>
  /** 0 up to but not including 1. */
  random(): number
  /** Stands between the run and the sources; for tests. */
  wrapFetcher?(fetcher: ListFetcher): ListFetcher
  /** In place of the real ones; for tests. */
  deliveryTimeouts?: DeliveryTimeouts | undefined
}

/** Runs spamd-setup once. Errors: those of `refreshLists`. */
export async function runSetup(request: SetupRequest, world: SetupWorld): Promise<RefreshReport> {
  const { settings, configSocket } = request
  const firewall = request.wantsFirewall ? await openFirewall(settings, world) : undefined
  const fetcher = openFetcher(request, world)
  const { deliveryTimeouts: timeouts } = world
  const target: ConfigTarget =
    configSocket === undefined
      ? { kind: 'port', port: settings.cfgPort, timeouts }
      : { kind: 'socket', path: configSocket, timeouts }
  try {
    return await refreshLists(
      { ...request, stateDir: settings.stateDir, firewall, target },
      {
        clock: world.clock,
        fetcher: world.wrapFetcher?.(fetcher) ?? fetcher,
        observer: world.observer,
        sleep: world.sleep,
      },
    )
  } finally {
    await fetcher.close()
  }
}

async function openFirewall(settings: Settings, world: SetupWorld): Promise<Firewall> {
  const { selectFirewall } = await import('../../firewall/select.js')
  return selectFirewall({
    choice: settings.firewall,
    pfctl: settings.pfctl,
    nft: settings.nft,
    system: currentSystem(),
    onNotice: (message) => world.observer.onProblem(noticeOf(message)),
  })
}

function noticeOf(message: string): Problem {
  return { message, isError: false }
}

function openFetcher(request: SetupRequest, world: SetupWorld): FeedFetcher {
  const totalTimeoutMs = request.timeoutMs ?? DEFAULT_FEED_LIMITS.totalTimeoutMs
  return new FeedFetcher({
    limits: {
      ...DEFAULT_FEED_LIMITS,
      totalTimeoutMs,
      connectTimeoutMs: Math.min(DEFAULT_FEED_LIMITS.connectTimeoutMs, totalTimeoutMs),
      idleTimeoutMs: Math.min(DEFAULT_FEED_LIMITS.idleTimeoutMs, totalTimeoutMs),
      maxBytes: request.maxBytes ?? DEFAULT_FEED_LIMITS.maxBytes,
    },
    clock: world.clock,
    userAgent: () => `spamdctl/${world.version()}`,
    environment: world.environment,
    findProgramUser: async () => {
      const { findUser, isRoot } = await import('../../platform/privileges.js')
      if (!isRoot()) return undefined
      const { user } = request.settings
      const isDefault = user === SETTING_TABLE.user.defaults[currentSystem()]
      const found = (await findUser(user)) ?? (isDefault ? await findUser(FALLBACK_USER) : undefined)
      if (found === undefined) {
        const hint = 'commands run unprivileged when spamd-setup is started by root: name a user with --user'
        throw new FeedError('ERR_FEED_PROGRAM', `cannot find user ${user}`, { hint })
      }
      return found
    },
    sleep: world.sleep,
    random: world.random,
  })
}
