import { AppError } from '../../platform/app-error.js'
import { errnoText } from '../../platform/errno-text.js'
import type { ErrorCode } from '../../platform/error-codes.js'
import { openError } from '../db-error.js'

/** SQLSTATE by its beginning, first match wins, as our codes. Source: PostgreSQL manual, appendix A. */
const CODES: readonly (readonly [prefix: string, code: ErrorCode, hint?: string])[] = [
  ['28', 'ERR_DB_OPEN', 'check the user, the file of PGPASSFILE and pg_hba.conf of the server'],
  ['3D000', 'ERR_DB_OPEN', 'create it: createdb NAME; then "spamdctl init-db" with the same location'],
  ['42P01', 'ERR_DB_OPEN', 'create the tables with "spamdctl init-db" and the same location'],
  [
    '42883',
    'ERR_DB_OPEN',
    'the functions on the server belong to another version of spamdctl: run "spamdctl init-db" with the same location',
  ],
  ['3F000', 'ERR_DB_OPEN', 'create the tables with "spamdctl init-db" and the same location'],
  ['42501', 'ERR_DB_READONLY', '"spamdctl init-db" prints the GRANTs that a gateway needs'],
  ['25006', 'ERR_DB_READONLY'],
  ['55P03', 'ERR_DB_BUSY', 'another client of the server holds a lock: see pg_stat_activity'],
  ['40', 'ERR_DB_BUSY'],
  ['23505', 'ERR_DB_BUSY', 'another gateway wrote the same entries again and again'],
  ['57014', 'ERR_DB_BUSY'],
  ['53100', 'ERR_DB_FULL', 'free space on the file system of the server'],
  ['53', 'ERR_DB_AWAY', 'raise max_connections on the server, or use pgbouncer'],
  ['57P', 'ERR_DB_AWAY'],
  ['08', 'ERR_DB_AWAY'],
  ['XX001', 'ERR_DB_CORRUPT', 'restore a dump made by pg_dump'],
  ['XX002', 'ERR_DB_CORRUPT', 'REINDEX the database'],
]

/** Codes after which the connection is unusable: it ended, or this server is no longer the writable one. */
const LOST_CODES: ReadonlySet<string> = new Set([
  'ERR_DB_AWAY',
  'ERR_DB_OPEN',
  'ERR_DB_READONLY',
  'ERR_DB_IO',
])

/** True when the next call has to connect again. */
export function isLost(error: unknown): boolean {
  return error instanceof AppError && LOST_CODES.has(error.code)
}

/** True for errors that disappear when the whole transaction is repeated. */
export function isTransient(error: unknown): boolean {
  const state = sqlStateOf(error)
  return state === '40P01' || state === '40001' || state === '23505'
}

/**
 * True if a prepared statement is missing or outdated: a pooler gave us another of its connections, or the tables were
 * changed.
 */
export function isForgotten(error: unknown): boolean {
  const state = sqlStateOf(error)
  // 0A000 is anything unsupported; the server's text ("cached plan must not change result type") may be in another language.
  return state === '26000' || state === '42P05' || (state === '0A000' && isOfCachedPlan(sourceOf(error)))
}

/** An `AppError` for anything that the server, its driver or the network threw; bugs come back unchanged. */
// eslint-disable-next-line complexity -- the first kind of error that fits, one branch each
export function toPgError(error: unknown): unknown {
  if (error instanceof AppError || !(error instanceof Error)) return error
  if (error instanceof TypeError || error instanceof RangeError) return error
  const state = sqlStateOf(error)
  if (state !== undefined) {
    const [, code, hint] = CODES.find(([prefix]) => state.startsWith(prefix)) ?? (['', 'ERR_DB_IO'] as const)
    return new AppError(code, firstLineOf(error), { hint, cause: error })
  }
  const { code } = error as NodeJS.ErrnoException
  if (error instanceof AggregateError) return toPgError(error.errors[0])
  if (code?.startsWith('CERT_') || code?.startsWith('ERR_TLS') || code?.includes('CERT')) {
    return openError(`the certificate of the server is not accepted: ${error.message}`, {
      hint: 'name the certificate of its authority with sslrootcert',
      cause: error,
    })
  }
  const reason = code !== undefined && /^E[A-Z0-9]+$/.test(code) ? errnoText(code) : firstLineOf(error)
  return new AppError('ERR_DB_AWAY', reason, { cause: error })
}

/** True for errors of the function of the server that plans a prepared statement anew. Source: its plancache.c. */
function isOfCachedPlan(error: unknown): boolean {
  return (error as { routine?: unknown }).routine === 'RevalidateCachedQuery'
}

/** What the driver threw. */
function sourceOf(error: unknown): unknown {
  return error instanceof AppError ? error.cause : error
}

function sqlStateOf(error: unknown): string | undefined {
  const code = (sourceOf(error) as { code?: unknown } | undefined)?.code
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !code.startsWith('E') ? code : undefined
}

function firstLineOf(error: Error): string {
  return error.message.split('\n', 1)[0]!
}
