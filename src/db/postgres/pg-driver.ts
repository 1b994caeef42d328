/** The only user of `pg`, an optional dependency that is loaded only for a location on a server. */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import type { Client, ClientConfig, QueryArrayConfig } from 'pg'
import { AppError } from '../../platform/app-error.js'
import { errnoText } from '../../platform/errno-text.js'
import { openError } from '../db-error.js'
import { passwordFor } from './password-file.js'
import type { Target, TargetHost } from './target.js'

export type PgClient = Client
/** A statement whose rows come as arrays. */
export type PgQuery = QueryArrayConfig

/** A call that takes longer than this indicates a half-open connection. */
const KEEPALIVE_MS = 10_000
/** OIDs of types whose text is a number that JavaScript holds exactly: int8, int4, int2. */
const NUMBER_TYPES = new Set([20, 23, 21])
const BYTEA = 17

/** Turns fields into values: whole numbers, bytes, everything else as the text that the server sends. */
const types = {
  getTypeParser: (oid: number, format?: string) => {
    if (format === 'binary') return (value: Buffer) => value
    if (NUMBER_TYPES.has(oid)) return Number
    if (oid === BYTEA) return (text: string) => Buffer.from(text.slice(2), 'hex')
    return (text: string) => text
  },
}

/**
 * Opens one connection to one server; rejects with whatever the driver throws. `queryTimeoutMs` ends the connection when an
 * answer takes longer.
 */
export async function connectTo(
  target: Target,
  { host, port }: TargetHost,
  queryTimeoutMs: number,
): Promise<PgClient> {
  const pg = await loadPg()
  const config: ClientConfig & { pipeline: boolean } = {
    host,
    port,
    user: target.user,
    database: target.database,
    // Asked for only when the server wants one.
    password: () => target.password ?? passwordFor({ ...target, host, port }),
    connectionTimeoutMillis: target.connectTimeoutMs,
    query_timeout: queryTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_MS,
    fallback_application_name: 'spamdctl',
    pipeline: true,
    types: types as never,
  } as ClientConfig & { pipeline: boolean }
  const isSocket = host.startsWith('/')
  let failure: unknown
  for (const ssl of isSocket ? [false] : sslChoices(target)) {
    const client = new pg.Client({ ...config, ssl })
    // What happens to an idle connection is noticed at its next use.
    client.on('error', () => {})
    try {
      await client.connect()
      return client
    } catch (error) {
      failure ??= error
      void client.end().catch(() => {})
      // eslint-disable-next-line no-restricted-syntax -- an error of the package pg, which has no code
      if (!(error instanceof Error) || !error.message.includes('does not support SSL')) break
    }
  }
  throw failure
}

/** Modes to try in turn. Only `prefer` and `allow` accept an unencrypted connection. */
function sslChoices({ sslMode, sslRootCert, sslCert, sslKey }: Target): (ConnectionOptions | false)[] {
  if (sslMode === 'disable') return [false]
  const own = {
    ...(sslCert === undefined ? {} : { cert: readCertificate(sslCert) }),
    ...(sslKey === undefined ? {} : { key: readCertificate(sslKey) }),
  }
  const unchecked = { ...own, rejectUnauthorized: false }
  switch (sslMode) {
    case 'allow':
    case 'prefer':
      return [unchecked, false]
    case 'require':
      return [sslRootCert === undefined ? unchecked : { ...own, ...authorityOf(sslRootCert), ...ANY_NAME }]
    case 'verify-ca':
      return [{ ...own, ...authorityOf(sslRootCert), ...ANY_NAME }]
    case 'verify-full':
      return [{ ...own, ...authorityOf(sslRootCert) }]
  }
}

const ANY_NAME: ConnectionOptions = { checkServerIdentity: () => undefined }

/**
 * Who must have signed the certificate: the authorities in a file, or with `system` those that Node trusts.
 */
function authorityOf(path = join(homedir(), '.postgresql', 'root.crt')): ConnectionOptions {
  return path === 'system'
    ? { rejectUnauthorized: true }
    : { rejectUnauthorized: true, ca: readCertificate(path) }
}

function readCertificate(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw openError(`${path}: ${errnoText((error as NodeJS.ErrnoException).code ?? 'EIO')}`, { cause: error })
  }
}

async function loadPg(): Promise<typeof import('pg')> {
  try {
    return (await import('pg')).default as unknown as typeof import('pg')
  } catch (error) {
    throw new AppError('ERR_DB_OPEN', 'the package pg, the PostgreSQL client, is not installed', {
      hint: 'run "npm install pg@8" in the folder of spamdctl',
      cause: error,
    })
  }
}
