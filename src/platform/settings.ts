/**
 * Settings common to all programs: each is a flag and an environment variable with a default for the system.
 * This is the only table; the manual pages print it.
 */
import { existsSync, readFileSync } from 'node:fs'
import { AppError } from './app-error.js'
import { BSD_DATABASE, FORMER_BSD_DATABASE, LOCAL_BSD_DATABASE } from './database-place.js'
import { hasPassword, shownLocation } from './postgres-location.js'

export type FirewallChoice = 'pf' | 'nft' | 'ipset' | 'none'

/** The systems whose conventions are supported; anything else is treated as Linux. */
export type SystemName = 'openbsd' | 'freebsd' | 'linux'

export interface Settings {
  /** The shared database: a path, or `postgres://…` for a server. */
  db: string
  /** The local SQLite file used while the server of `db` is unreachable. */
  localDb: string
  /** spamd.conf(5). */
  conf: string
  /** Folder of the last good copies of block lists. */
  stateDir: string
  /** Key of the sync protocol. */
  key: string
  allowedDomains: string
  firewall: FirewallChoice
  pfctl: string
  nft: string
  /** SMTP port of spamd. */
  port: number
  /** Configuration port of spamd. */
  cfgPort: number
  /** UDP port of the sync protocol. */
  syncPort: number
  /** Unprivileged user of the daemons. */
  user: string
  /** Unprivileged user of spamd-setup. */
  feedUser: string
  /** Unix socket through which setup and status commands reach the running spamd. */
  controlSocket: string
}

export type Environment = Readonly<Record<string, string | undefined>>

interface SettingRow {
  variable: string
  meaning: string
  defaults: Readonly<Record<SystemName, string>>
}

const everywhere = (value: string): Readonly<Record<SystemName, string>> => ({
  openbsd: value,
  freebsd: value,
  linux: value,
})

/** Variable, meaning and default of each setting, by its name in `Settings`. */
export const SETTING_TABLE: Readonly<Record<keyof Settings, SettingRow>> = {
  db: {
    variable: 'SPAMD_DB',
    meaning: 'the shared database: a file, or postgres://USER@HOST/NAME',
    defaults: {
      openbsd: BSD_DATABASE,
      freebsd: BSD_DATABASE,
      linux: '/var/lib/spamd/spamd.sqlite',
    },
  },
  localDb: {
    variable: 'SPAMD_LOCAL_DB',
    meaning: 'with a database on a server: local file to use while the server is unreachable',
    defaults: {
      openbsd: LOCAL_BSD_DATABASE,
      freebsd: LOCAL_BSD_DATABASE,
      linux: '/var/lib/spamd/local.sqlite',
    },
  },
  conf: {
    variable: 'SPAMD_CONF',
    meaning: 'spamd.conf(5)',
    defaults: {
      openbsd: '/etc/mail/spamd.conf',
      freebsd: '/usr/local/etc/spamd/spamd.conf',
      linux: '/etc/spamd/spamd.conf',
    },
  },
  stateDir: {
    variable: 'SPAMD_STATE_DIR',
    meaning: 'last good copies of the block lists',
    defaults: {
      openbsd: '/var/db/spamd-setup',
      freebsd: '/var/db/spamd-setup',
      linux: '/var/lib/spamd-setup',
    },
  },
  key: {
    variable: 'SPAMD_KEY',
    meaning: 'key of the synchronisation protocol',
    defaults: {
      openbsd: '/etc/mail/spamd.key',
      freebsd: '/usr/local/etc/spamd/spamd.key',
      linux: '/etc/spamd/spamd.key',
    },
  },
  allowedDomains: {
    variable: 'SPAMD_ALLOWEDDOMAINS',
    meaning: 'allowed domains; other recipients are spamtraps',
    defaults: {
      openbsd: '/etc/mail/spamd.alloweddomains',
      freebsd: '/usr/local/etc/spamd/spamd.alloweddomains',
      linux: '/etc/spamd/spamd.alloweddomains',
    },
  },
  firewall: {
    variable: 'SPAMD_FIREWALL',
    meaning: 'packet filter: pf, nft, ipset or none',
    defaults: { openbsd: 'pf', freebsd: 'pf', linux: 'nft' },
  },
  pfctl: { variable: 'SPAMD_PFCTL', meaning: 'the pfctl(8) program', defaults: everywhere('/sbin/pfctl') },
  nft: { variable: 'SPAMD_NFT', meaning: 'the nft(8) program', defaults: everywhere('/usr/sbin/nft') },
  port: {
    variable: 'SPAMD_PORT',
    meaning: 'SMTP port of spamd (service spamd/tcp)',
    defaults: everywhere('8025'),
  },
  cfgPort: {
    variable: 'SPAMD_CFG_PORT',
    meaning: 'configuration port (service spamd-cfg/tcp)',
    defaults: everywhere('8026'),
  },
  syncPort: {
    variable: 'SPAMD_SYNC_PORT',
    meaning: 'synchronisation port (service spamd-sync/udp)',
    defaults: everywhere('8025'),
  },
  user: {
    variable: 'SPAMD_USER',
    meaning: 'unprivileged user of the daemons',
    defaults: everywhere('_spamd'),
  },
  feedUser: {
    variable: 'SPAMD_FEED_USER',
    meaning: 'unprivileged user of spamd-setup',
    defaults: everywhere('_spamdfeed'),
  },
  controlSocket: {
    variable: 'SPAMD_CONTROL_SOCKET',
    meaning: 'Unix socket of the running spamd',
    defaults: {
      openbsd: '/var/run/spamd.sock',
      freebsd: '/var/run/spamd.sock',
      linux: '/run/spamd/spamd.sock',
    },
  },
}

/** Values given by flags; they take precedence over the environment. */
export type SettingOverrides = { readonly [Name in keyof Settings]?: string | undefined }

/**
 * Every setting, from flags, else environment, else services(5) for ports, else the system's default. Throws
 * `AppError` `ERR_SETTING_INVALID` naming the flag or variable that has a bad value.
 */
export function resolveSettings(
  overrides: SettingOverrides = {},
  environment: Environment = process.env,
  system: SystemName = currentSystem(),
): Settings {
  const text = (name: keyof Settings): string =>
    givenText(name, overrides, environment) ?? SETTING_TABLE[name].defaults[system]
  const port = (name: 'port' | 'cfgPort' | 'syncPort', service: string, protocol: 'tcp' | 'udp'): number => {
    const given = givenText(name, overrides, environment)
    if (given === undefined)
      return findService(service, protocol, readServices()) ?? Number(SETTING_TABLE[name].defaults[system])
    const value = /^[0-9]{1,5}$/.test(given) ? Number(given) : 0
    if (value < 1 || value > 65535)
      throw invalidSetting(name, overrides, given, 'not a port number from 1 to 65535')
    return value
  }
  const firewall = text('firewall')
  if (firewall !== 'pf' && firewall !== 'nft' && firewall !== 'ipset' && firewall !== 'none') {
    throw invalidSetting('firewall', overrides, firewall, 'not one of pf, nft, ipset, none')
  }
  return {
    db: resolveDbPath(overrides.db, environment, system),
    localDb: text('localDb'),
    conf: text('conf'),
    stateDir: text('stateDir'),
    key: text('key'),
    allowedDomains: text('allowedDomains'),
    firewall,
    pfctl: text('pfctl'),
    nft: text('nft'),
    port: port('port', 'spamd', 'tcp'),
    cfgPort: port('cfgPort', 'spamd-cfg', 'tcp'),
    syncPort: port('syncPort', 'spamd-sync', 'udp'),
    user: text('user'),
    feedUser: text('feedUser'),
    controlSocket: text('controlSocket'),
  }
}

/** Path or location of the database only: what the fast path of spamdb needs, without reading services(5). */
export function resolveDbPath(
  flag: string | undefined,
  environment: Environment = process.env,
  system: SystemName = currentSystem(),
): string {
  const given = givenText('db', { db: flag }, environment)
  if (given !== undefined && hasPassword(given)) {
    const origin = flag === undefined ? SETTING_TABLE.db.variable : '--db'
    throw new AppError('ERR_SETTING_INVALID', `${origin}: ${shownLocation(given)} contains a password`, {
      hint: 'it would show in process lists and logs: put it into the file that PGPASSFILE names, mode 0600, as HOST:PORT:DATABASE:USER:PASSWORD',
    })
  }
  return given ?? defaultDbPath(system)
}

/**
 * The default database. Until "spamdctl init-db" has taken over one created by version 0.1.0, that one is
 * used, so that the database is not empty after an update.
 * @internal Tests say which files exist on another system.
 */
export function defaultDbPath(system: SystemName, exists: (path: string) => boolean = existsSync): string {
  const path = SETTING_TABLE.db.defaults[system]
  if (system === 'linux' || exists(path) || !exists(FORMER_BSD_DATABASE)) return path
  return FORMER_BSD_DATABASE
}

/**
 * Where earlier versions kept the last good copies by default, or undefined when a folder other than the
 * default is in use.
 */
export function formerStateDir(stateDir: string, system: SystemName = currentSystem()): string | undefined {
  if (stateDir !== SETTING_TABLE.stateDir.defaults[system]) return undefined
  return system === 'linux' ? '/var/lib/spamd/lists' : '/var/db/spamd-lists'
}

/** The conventions of the running system. */
export function currentSystem(platform: string = process.platform): SystemName {
  return platform === 'openbsd' || platform === 'freebsd' ? platform : 'linux'
}

function givenText(
  name: keyof Settings,
  overrides: SettingOverrides,
  environment: Environment,
): string | undefined {
  const value = overrides[name] ?? environment[SETTING_TABLE[name].variable]
  return value === '' ? undefined : value
}

function invalidSetting(
  name: keyof Settings,
  overrides: SettingOverrides,
  value: string,
  why: string,
): AppError {
  const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
  const origin = overrides[name] === undefined ? SETTING_TABLE[name].variable : flag
  return new AppError('ERR_SETTING_INVALID', `${origin}: ${JSON.stringify(value)} is ${why}`)
}

/** Port of a service in the text of services(5), or undefined. */
export function findService(name: string, protocol: 'tcp' | 'udp', services: string): number | undefined {
  for (const line of services.split('\n')) {
    const [entry = ''] = line.split('#')
    const [first, portAndProtocol = '', ...aliases] = entry.trim().split(/\s+/)
    if (first !== name && !aliases.includes(name)) continue
    const [portText, lineProtocol] = portAndProtocol.split('/')
    if (lineProtocol === protocol && /^[0-9]+$/.test(portText ?? '')) return Number(portText)
  }
  return undefined
}

/** services(5) of this machine; empty when it cannot be read. */
export function readServices(path = '/etc/services'): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
