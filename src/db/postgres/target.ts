/**
 * Parses a location `postgres://USER@HOST,HOST:PORT/NAME?OPTIONS`, completed from the service file and the
 * environment like libpq. Source: PostgreSQL manual, "Connection URIs", "The Connection Service File",
 * "Environment Variables".
 */
import { readFileSync } from 'node:fs'
import { homedir, userInfo } from 'node:os'
import { join } from 'node:path'
import { hasPassword, isPostgresLocation } from '../../platform/postgres-location.js'
import type { Environment } from '../../platform/settings.js'
import { openError } from '../db-error.js'

/** One server of a location; `host` that begins with a slash is the folder of a Unix socket. */
export interface TargetHost {
  host: string
  port: number
}

export type SslMode = (typeof SSL_MODES)[number]

/** The server and the role to connect as. */
export interface Target {
  /** Tried in order; at least one. */
  hosts: readonly TargetHost[]
  user: string
  database: string
  /** From the service file or PGPASSWORD; without one the file of PGPASSFILE is read. */
  password: string | undefined
  sslMode: SslMode
  sslRootCert: string | undefined
  sslCert: string | undefined
  sslKey: string | undefined
  /** For each host. */
  connectTimeoutMs: number
}

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
const DEFAULT_PORT = 5432
const DEFAULT_CONNECT_TIMEOUT_SEC = 3
const LOCATION = /^postgres(?:ql)?:\/\/(?:([^@/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/
/** Options of a location, named as in libpq, with the variable that replaces each. */
const VARIABLES: Readonly<Record<string, string>> = {
  host: 'PGHOST',
  port: 'PGPORT',
  dbname: 'PGDATABASE',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  service: 'PGSERVICE',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  // Ours to find out anyway, and accepted for those who have it in their URL.
  target_session_attrs: 'PGTARGETSESSIONATTRS',
  application_name: 'PGAPPNAME',
}

/** Throws `ERR_DB_OPEN` for an invalid location, one with a password, or an unknown option or service. */
// eslint-disable-next-line complexity -- one option each, from the location, the service file or the environment
export function parseTarget(location: string, environment: Environment = process.env): Target {
  if (hasPassword(location)) {
    throw openError('the location contains a password, which would show in process lists and logs', {
      hint: 'remove it; put it into the file that PGPASSFILE names, mode 0600: HOST:PORT:DATABASE:USER:PASSWORD',
    })
  }
  const [, user = '', hosts = '', database = '', query = ''] = LOCATION.exec(location) ?? []
  if (!isPostgresLocation(location) || !LOCATION.test(location)) {
    throw openError('not a location of a server', {
      hint: 'write it as postgres://USER@HOST,HOST:PORT/DATABASE?sslmode=verify-full',
    })
  }
  const given = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(query)) {
    if (VARIABLES[name] === undefined) {
      throw openError(`unknown option "${name}" in the location`, {
        hint: `known options are ${Object.keys(VARIABLES).join(', ')}`,
      })
    }
    given.set(name, value)
  }
  if (user !== '') given.set('user', decodeURIComponent(user))
  if (database !== '') given.set('dbname', decodeURIComponent(database))
  const service = given.get('service') ?? environment.PGSERVICE
  const fromService = service === undefined ? new Map<string, string>() : readService(service, environment)
  const option = (name: string): string | undefined =>
    given.get(name) ?? fromService.get(name) ?? environment[VARIABLES[name]!]
  const userName = option('user') ?? userInfo().username
  const timeoutSec = Number(option('connect_timeout') ?? DEFAULT_CONNECT_TIMEOUT_SEC)
  return {
    hosts: hosts === '' ? hostsOf(option('host'), option('port')) : hostsOfUrl(hosts),
    user: userName,
    database: option('dbname') ?? userName,
    password: fromService.get('password') ?? environment.PGPASSWORD,
    sslMode: sslModeOf(option('sslmode')),
    sslRootCert: option('sslrootcert'),
    sslCert: option('sslcert'),
    sslKey: option('sslkey'),
    connectTimeoutMs: (timeoutSec > 0 ? timeoutSec : DEFAULT_CONNECT_TIMEOUT_SEC) * 1000,
  }
}

function sslModeOf(text: string | undefined): SslMode {
  const mode = SSL_MODES.find((name) => name === (text ?? 'prefer'))
  if (mode === undefined) {
    throw openError(`unknown sslmode "${text}"`, { hint: `known modes are ${SSL_MODES.join(', ')}` })
  }
  return mode
}

/** Hosts of a URL: `a,b:5433,[2001:db8::1]:5432,%2Frun%2Fpostgresql`. */
function hostsOfUrl(text: string): TargetHost[] {
  return text.split(',').map((part) => {
    const [, host6, host = '', port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(part) ?? []
    if (host6 === undefined && host === '' && port === undefined) throw badHost(part)
    return { host: host6 ?? (decodeURIComponent(host) || 'localhost'), port: portOf(port) }
  })
}

/** Hosts and ports given apart, as libpq takes them: one port for all, or one for each host. */
function hostsOf(hostText = 'localhost', portText = ''): TargetHost[] {
  const ports = portText.split(',')
  return hostText
    .split(',')
    .map((host, index) => ({ host, port: portOf(ports.length === 1 ? ports[0] : ports[index]) }))
}

function portOf(text: string | undefined): number {
  const port = text === undefined || text === '' ? DEFAULT_PORT : Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw badHost(`port ${text}`)
  return port
}

function badHost(text: string): Error {
  return openError(`"${text}" is not a server host`, {
    hint: 'write HOST, HOST:PORT or [IPV6]:PORT, separated by commas',
  })
}

/** A section of the service file, `[NAME]` and lines `option=value`. */
function readService(name: string, environment: Environment): Map<string, string> {
  const paths = [
    environment.PGSERVICEFILE ?? join(environment.HOME ?? homedir(), '.pg_service.conf'),
    join(environment.PGSYSCONFDIR ?? '/etc/postgresql-common', 'pg_service.conf'),
  ]
  for (const path of paths) {
    const section = sectionOf(path, name)
    if (section !== undefined) return section
  }
  throw openError(`service "${name}" is not in any service file`, {
    hint: `looked in ${paths.join(' and ')}`,
  })
}

function sectionOf(path: string, name: string): Map<string, string> | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
  let section: Map<string, string> | undefined
  for (const line of text.split('\n').map((one) => one.trim())) {
    if (line.startsWith('#') || line === '') continue
    if (line.startsWith('[')) {
      if (section !== undefined) break
      if (line === `[${name}]`) section = new Map()
    } else if (section !== undefined) {
      const at = line.indexOf('=')
      section.set(line.slice(0, at).trim(), line.slice(at + 1).trim())
    }
  }
  return section
}
