/**
 * A complete spamd in this process, for one transcript: real sockets and database, simulated clock and packet filter.
 */
import type { AddressInfo, Server } from 'node:net'
import { join } from 'node:path'
import type { SpamdConfig } from '../../../src/app/spamd-config.js'
import { OwnResources, sendAway } from '../../../src/daemon/process/own-resources.js'
import { SpamdService, type SpamdServiceParts } from '../../../src/daemon/spamd-service.js'
import { createSyncService } from '../../../src/daemon/sync/sync-service.js'
import { openStore } from '../../../src/db/open-store.js'
import type { Clock } from '../../../src/platform/clock.js'
import { MemoryDebugOutput } from '../memory-debug-output.js'
import { MemoryFirewall } from '../memory-firewall.js'
import { MemoryLogger } from '../memory-logger.js'

/** Uses any free ports and remembers which were opened. */
class TestResources extends OwnResources {
  smtpPort = 0
  configPort = 0

  constructor(config: SpamdConfig) {
    super({ ...config, settings: { ...config.settings, port: 0, cfgPort: 0 } })
  }

  override async openSmtpListeners(): Promise<Server[]> {
    const servers = await super.openSmtpListeners()
    // No other process inherits them.
    for (const server of servers) server.off('connection', sendAway)
    this.smtpPort = (servers[0]!.address() as AddressInfo).port
    return servers
  }

  override async listenConfig(server: Server): Promise<void> {
    await super.listenConfig(server)
    this.configPort = (server.address() as AddressInfo).port
  }
}

export interface TestDaemon {
  service: SpamdService
  logger: MemoryLogger
  debug: MemoryDebugOutput
  firewall: MemoryFirewall
  resources: { readonly smtpPort: number; readonly configPort: number }
}

/** Environment that keeps all files of a daemon in one folder. */
export function daemonEnvironment(folder: string): Record<string, string> {
  return {
    SPAMD_DB: join(folder, 'db'),
    SPAMD_ALLOWEDDOMAINS: join(folder, 'alloweddomains'),
    SPAMD_KEY: join(folder, 'spamd.key'),
    SPAMD_CONTROL_SOCKET: join(folder, 'control.sock'),
    SPAMD_STATE_DIR: join(folder, 'lists'),
    SPAMD_FIREWALL: 'none',
    // Debian's services(5) gives this name to another program.
    SPAMD_PORT: '8025',
  }
}

/** Builds a daemon without starting it. */
export function createTestDaemon(
  config: SpamdConfig,
  clock: Clock,
  more: Partial<SpamdServiceParts> = {},
): TestDaemon {
  const logger = new MemoryLogger()
  const debug = new MemoryDebugOutput()
  const firewall = new MemoryFirewall()
  const resources = new TestResources(config)
  const service = new SpamdService({
    config,
    clock,
    logger,
    debug,
    firewall,
    resources,
    ...(config.sync.targets.length > 0 || config.sync.listen !== undefined
      ? { createSync: createSyncService }
      : {}),
    openStore: async () => ({
      store: await openStore(config.settings.db, { mode: 'write', create: true, durability: 'normal' }),
      isCreated: false,
    }),
    ...more,
  })
  return { service, logger, debug, firewall, resources }
}
