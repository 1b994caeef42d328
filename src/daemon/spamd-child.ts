/** Main module of spamd's unprivileged process; `runSpamdParent` forks it. */
import { existsSync } from 'node:fs'
import { readDeliveredLists } from '../app/lists/delivered-lists.js'
import type { SpamdConfig } from '../app/spamd-config.js'
import { escapeControl } from '../codec/escape.js'
import { systemClock } from '../platform/clock.js'
import { logFatalErrors } from '../platform/fatal-errors.js'
import type { Logger } from '../platform/log.js'
import { isPostgresLocation } from '../platform/postgres-location.js'
import { openSpamdLog } from './process/open-spamd-log.js'
import { runSpamdChild } from './process/spamd-child-run.js'
import { openProcessDebugOutput } from './process-debug-output.js'
import { RateLimitedLog } from './rate-limited-log.js'
import { runInSlices } from './run-in-slices.js'
import { SpamdService } from './spamd-service.js'
import { openStoreInWorker } from './store/store-in-worker.js'
import type { OpenedStore } from './store/store-keeper.js'
import { createSyncService } from './sync/sync-service.js'

/**
 * How long a call waits for another program's lock, and the calls behind it; greylister and scanner ask again
 * later, so that clients get their answers meanwhile.
 */
const BUSY_TIMEOUT_MS = 20

void runSpamdChild(({ config, resources, firewall }) => {
  const logger = openSpamdLog(config)
  logFatalErrors(logger)
  const slowLog = new RateLimitedLog(logger, systemClock)
  const alone: { sinceSec: number | undefined } = { sinceSec: undefined }
  const isSynchronised = config.sync.targets.length > 0 || config.sync.listen !== undefined
  const service = new SpamdService({
    config,
    clock: systemClock,
    logger,
    debug: config.isDebug ? openProcessDebugOutput() : undefined,
    firewall,
    resources,
    openStore: () => openDaemonStore(config, slowLog, logger, alone, () => service.lookForChanges()),
    aloneSinceSec: () => alone.sinceSec,
    loadSavedLists: () => readDeliveredLists(config.settings.stateDir, runInSlices),
    createSync: isSynchronised ? createSyncService : undefined,
  })
  return service
}).then((exitCode) => {
  // Handles that are still closing must not keep a finished process alive.
  process.exit(exitCode)
})

async function openDaemonStore(
  config: SpamdConfig,
  slowLog: RateLimitedLog,
  logger: Logger,
  alone: { sinceSec: number | undefined },
  onAlarm: () => void,
): Promise<OpenedStore> {
  const { settings, passSec, maxTuples, maxTuplesPerAddress, maxTupleBytes } = config
  const tellsChanges = !isPostgresLocation(settings.db)
  const isCreated = tellsChanges && !existsSync(settings.db)
  const store = await openStoreInWorker(settings.db, {
    mode: 'write',
    create: true,
    tellsChanges,
    durability: 'normal',
    busyTimeoutMs: BUSY_TIMEOUT_MS,
    gateway: {
      localPath: settings.localDb,
      policy: { passSec, maxTuples, maxTuplesPerAddress, maxTupleBytes },
      name: 'spamd',
    },
    onNotice: (text) => logger.log('warning', escapeControl(text), { event: 'database-server' }),
    onAlone: (sinceSec) => {
      alone.sinceSec = sinceSec
    },
    onAlarm,
    onSlowCall: ({ call, durationMs }) =>
      slowLog.log('slow-store', 'notice', `${settings.db}: ${call} took ${Math.round(durationMs)} ms`),
  })
  return { store, isCreated, tellsChanges }
}
