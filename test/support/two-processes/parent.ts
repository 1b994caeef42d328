/** The privileged process of spamd with a test child: argv is a JSON object of settings, see two-processes.test.ts. */
import { fileURLToPath } from 'node:url'
import type { SpamdConfig } from '../../../src/app/spamd-config.js'
import { OwnResources } from '../../../src/daemon/process/own-resources.js'
import { runSpamdParent } from '../../../src/daemon/process/spamd-parent-main.js'
import { selectFirewall } from '../../../src/firewall/select.js'
import { AppError } from '../../../src/platform/app-error.js'
import type { Logger } from '../../../src/platform/log.js'

export interface TrialSettings {
  folder: string
  user: string
  pfctl: string
  pidFile?: string
  stopTimeoutMs?: number
  /** How the start of the child goes: it fails, or ends when a client says `begin`. */
  way?: 'fails' | 'starts-late'
  tls?: { certificateFile: string; keyFile: string }
}

const trial = JSON.parse(process.argv[2]!) as TrialSettings

/** The part of the configuration that the parent and the test child use. */
const config = {
  isBlackOnly: false,
  hostname: trial.way ?? 'works',
  listenAddresses: ['127.0.0.1', '::1'],
  listenFds: [],
  pidFile: trial.pidFile,
  tls: trial.tls,
  settings: {
    db: `${trial.folder}/db/spamd.sqlite`,
    localDb: `${trial.folder}/db/local.sqlite`,
    controlSocket: `${trial.folder}/run/spamd.sock`,
    allowedDomains: `${trial.folder}/alloweddomains`,
    key: `${trial.folder}/key`,
    user: trial.user,
    firewall: 'pf',
    pfctl: trial.pfctl,
    stateDir: `${trial.folder}/lists`,
    nft: '/nonexistent',
    port: 0,
    cfgPort: 0,
  },
} as unknown as SpamdConfig

const logger: Logger = {
  log: (level, message) => void process.stderr.write(`${level}: ${message}\n`),
  flush: async () => undefined,
}

try {
  process.exitCode = await runSpamdParent({
    config,
    childModule: fileURLToPath(new URL('./child.ts', import.meta.url)),
    logger,
    resources: new OwnResources(config),
    ...(trial.stopTimeoutMs === undefined ? {} : { stopTimeoutMs: trial.stopTimeoutMs }),
    firewall: selectFirewall({ choice: 'pf', pfctl: trial.pfctl, nft: '', system: 'openbsd' }),
  })
} catch (error) {
  if (!(error instanceof AppError)) throw error
  process.stderr.write(`spamd: ${error.message}\n`)
  process.exitCode = 1
}
