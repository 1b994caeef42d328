/** Assembles a run of spamd-setup from its settings. */
import { DEFAULT_FEED_LIMITS, FeedError } from '../../feeds/feed.js'
import { FeedFetcher } from '../../feeds/feed-fetcher.js'
import type { FormerState } from '../../feeds/state-folder.js'
import type { Firewall } from '../../firewall/backend.js'
import type { Clock } from '../../platform/clock.js'
import { currentSystem, type Environment, type Settings } from '../../platform/settings.js'
import type { Configuration, Problem } from './configured-list.js'
import type { ConfigTarget, DeliveryTimeouts } from './deliver-lists.js'
import { leaveRoot, type StartFirewallHelper, type Unprivileged } from './leave-root.js'
import { type RefreshOptions, refreshLists } from './refresh-lists.js'
import type { RefreshObserver, RefreshReport } from './refresh-report.js'
import type { ListFetcher } from './settle-options.js'

/** User to run programs as while we are root, if the user of spamd does not exist. */
const FALLBACK_USER = 'nobody'

export interface SetupRequest
  extends Pick<
    RefreshOptions,
    | 'isDryRun'
    | 'isQuiet'
    | 'wantsChanges'
    | 'wantsCounts'
    | 'isForced'
    | 'isOffline'
    | 'canShrink'
    | 'canGrow'
    | 'output'
    | 'waitMs'
  > {
  settings: Settings
  configuration: Configuration
  /** -b */
  wantsFirewall: boolean
  /** Instead of the configuration port. */
  configSocket: string | undefined
  /** The unprivileged user was named by flag or environment. */
  isFeedUserGiven: boolean
  maxBytes: number | undefined
  timeoutMs: number | undefined
}

/** What a run needs from the machine, so that tests can replace it. */
export interface SetupParts {
  clock: Clock
  environment: Environment
  /** Version of the package, for the user agent. */
  version(): string
  observer: RefreshObserver
  sleep(durationMs: number): Promise<void>
  /** 0 up to but not including 1. */
  random(): number
  /** Where root is really given up: starts the process that keeps it for the packet filter. Absent: root stays root. */
  startFirewallHelper?: StartFirewallHelper | undefined
  /** In place of the addresses of this host; for tests. */
  ownAddresses?(): Promise<readonly string[]>
  /** Stands between the run and the sources; for tests. */
  wrapFetcher?(fetcher: ListFetcher): ListFetcher
  /** In place of the real ones; for tests. */
  deliveryTimeouts?: DeliveryTimeouts | undefined
}

/** Runs spamd-setup once. Errors: those of `refreshLists`. */
export async function runSetup(request: SetupRequest, parts: SetupParts): Promise<RefreshReport> {
  const { settings, configSocket } = request
  const rights = await giveUpRights(request, parts)
  const { deliveryTimeouts: timeouts } = parts
  const target: ConfigTarget =
    configSocket === undefined
      ? { kind: 'port', port: settings.cfgPort, timeouts, sockets: rights?.sockets }
      : { kind: 'socket', path: configSocket, timeouts }
  const fetcher = openFetcher(request, parts, rights)
  try {
    const firewall = request.wantsFirewall
      ? (rights?.helper?.firewall ?? (await openFirewall(settings, parts)))
      : undefined
    const takeOver = rights?.former === undefined ? undefined : takerOf(rights.former, settings.stateDir)
    return await refreshLists(
      { ...request, stateDir: settings.stateDir, firewall, target, takeOver },
      {
        clock: parts.clock,
        version: () => parts.version(),
        fetcher: parts.wrapFetcher?.(fetcher) ?? fetcher,
        observer: parts.observer,
        sleep: parts.sleep,
        ownAddresses: async () => {
          if (parts.ownAddresses !== undefined) return parts.ownAddresses()
          const { findOwnAddresses } = await import('../../platform/own-addresses.js')
          return findOwnAddresses()
        },
      },
    )
  } finally {
    await fetcher.close()
    await rights?.close()
  }
}

async function giveUpRights(request: SetupRequest, parts: SetupParts): Promise<Unprivileged | undefined> {
  const { startFirewallHelper } = parts
  if (startFirewallHelper === undefined) return undefined
  const { settings, configuration, isDryRun, configSocket } = request
  await loadProgram(request)
  const rights = await leaveRoot({
    settings,
    configuration,
    isDryRun,
    isUserGiven: request.isFeedUserGiven,
    needsPort: !isDryRun && configSocket === undefined,
    needsFirewall: request.wantsFirewall && settings.firewall !== 'none',
    needsControlSocket: configSocket !== undefined,
    maxSourceBytes: request.maxBytes ?? DEFAULT_FEED_LIMITS.maxBytes,
    sourceTimeoutMs: request.timeoutMs ?? DEFAULT_FEED_LIMITS.totalTimeoutMs,
    startFirewallHelper,
    onMessages: (text) => parts.observer.onMessages(text),
  })
  for (const problem of rights.problems) parts.observer.onProblem(problem)
  return rights
}

/** Loads what the run will need while its files can be read: a checkout may be closed to other users. */
async function loadProgram({
  configuration,
  isDryRun,
  isOffline,
  wantsFirewall,
}: SetupRequest): Promise<void> {
  const methods = new Set(configuration.lists.map(({ source }) => source?.method))
  await Promise.all([
    isDryRun ? undefined : import('../../db/file/run-lock.js').then(({ loadLocks }) => loadLocks()),
    isDryRun ? undefined : import('./send-lists.js'),
    import('./loaded-lists.js'),
    wantsFirewall ? import('./refresh-firewall.js') : undefined,
    methods.has('exec') || methods.has('ftp') ? import('../../feeds/program-feed.js') : undefined,
    !isOffline && (methods.has('http') || methods.has('https'))
      ? import('../../feeds/http-feed.js')
      : undefined,
    import('../../feeds/gunzip.js'),
    import('../../feeds/opened-source.js'),
  ])
}

/** Takes over what an earlier version left, when there is nothing yet. */
function takerOf(former: FormerState, stateDir: string): () => Promise<void> {
  return async () => {
    const { closeFormerState, isStateFolderUnused, takeOverFormerState } = await import(
      '../../feeds/state-folder.js'
    )
    if (isStateFolderUnused(stateDir)) await takeOverFormerState(former, stateDir)
    else closeFormerState(former)
  }
}

async function openFirewall(settings: Settings, parts: SetupParts): Promise<Firewall> {
  const { selectFirewall } = await import('../../firewall/select.js')
  return selectFirewall({
    choice: settings.firewall,
    pfctl: settings.pfctl,
    nft: settings.nft,
    system: currentSystem(),
    onNotice: (message) => parts.observer.onProblem(noticeOf(message)),
  })
}

function noticeOf(message: string): Problem {
  return { message, isError: false }
}

function openFetcher(
  request: SetupRequest,
  parts: SetupParts,
  rights: Unprivileged | undefined,
): FeedFetcher {
  const totalTimeoutMs = request.timeoutMs ?? DEFAULT_FEED_LIMITS.totalTimeoutMs
  return new FeedFetcher({
    limits: {
      ...DEFAULT_FEED_LIMITS,
      totalTimeoutMs,
      connectTimeoutMs: Math.min(DEFAULT_FEED_LIMITS.connectTimeoutMs, totalTimeoutMs),
      idleTimeoutMs: Math.min(DEFAULT_FEED_LIMITS.idleTimeoutMs, totalTimeoutMs),
      maxBytes: request.maxBytes ?? DEFAULT_FEED_LIMITS.maxBytes,
    },
    clock: parts.clock,
    userAgent: () => `spamdctl/${parts.version()}`,
    // What root's environment says of a home is not the user's.
    environment:
      rights?.user === undefined ? parts.environment : { ...parts.environment, HOME: rights.user.home },
    opened: rights?.opened,
    onMessages: (text) => parts.observer.onMessages(text),
    findProgramUser: async () => {
      const { findUser, isRoot } = await import('../../platform/privileges.js')
      if (!isRoot()) return undefined
      const { user, feedUser } = request.settings
      const names = request.isFeedUserGiven ? [feedUser] : [feedUser, user, FALLBACK_USER]
      for (const name of names) {
        const found = await findUser(name)
        if (found !== undefined) return found
      }
      const hint =
        'commands run without privileges when spamd-setup is started by root: name a user with --user'
      throw new FeedError('ERR_FEED_PROGRAM', `cannot find user ${names[0]}`, { hint })
    },
    sleep: parts.sleep,
    random: parts.random,
  })
}
