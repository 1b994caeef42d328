import { AppError } from '../../platform/app-error.js'
import { newNode } from '../node-numbers.js'
import { FUNCTIONS } from './pg-functions.js'
import { PgLink, type Statements } from './pg-link.js'
import { DEFAULT_PARTITIONS, GRANTS, MIGRATIONS, PG_SCHEMA_VERSION, ROLES } from './pg-schema.js'

/** What init-db did on a server. */
export interface InitializedServer {
  /** False: the tables were there and of this version already. */
  isChanged: boolean
  /** Version before; 0 for a server without our tables. */
  fromVersion: number
  version: number
  /** What an administrator runs for each gateway, with NAME in place of its role. */
  grants: readonly string[]
}

/**
 * Only one program at a time may change the tables: the number of the lock is `APPLICATION_ID` of schema.ts.
 */
const LOCK = 'SELECT pg_advisory_xact_lock(1936747844)'
const FIRST_PARTITION = "SELECT spamd.keep_history($1::date, 'epoch')"
const QUERY_TIMEOUT_MS = 600_000

/**
 * Creates schema, roles and tables on a server, or upgrades them to this version; one program at a time, all
 * or nothing. The caller must own the database and be allowed to create roles if needed. Rejects with
 * `ERR_DB_OPEN` when the tables are newer than this program, and with the codes of `Store`.
 */
export async function initServer(
  location: string,
  { partitionCount = DEFAULT_PARTITIONS }: { partitionCount?: number } = {},
): Promise<InitializedServer> {
  const link = new PgLink(location, { mode: 'write', queryTimeoutMs: QUERY_TIMEOUT_MS, slowCallMs: Infinity })
  try {
    return await link.write('init-db', async (statements) => {
      await statements.rows(LOCK)
      await refuseOtherEncoding(statements)
      const { version: fromVersion } = (await readVersion(statements)) ?? { version: 0 }
      refuseNewer(fromVersion)
      for (const role of ROLES) await makeRole(statements, role)
      if (fromVersion === 0) {
        await statements.rows('CREATE SCHEMA IF NOT EXISTS spamd')
        await statements.rows(
          'CREATE TABLE spamd.version (version int NOT NULL, node bigint NOT NULL, home text NOT NULL)',
        )
        await statements.rows("INSERT INTO spamd.version VALUES (0, 0, '')")
      }
      for (const step of MIGRATIONS.slice(fromVersion)) await statements.run(step(partitionCount))
      for (const text of FUNCTIONS) await statements.run(text)
      await statements.run(GRANTS)
      await statements.run(
        'GRANT ALL ON ALL TABLES IN SCHEMA spamd TO spamd_admin; GRANT ALL ON SCHEMA spamd TO spamd_admin',
      )
      for (const day of ['today', 'tomorrow']) await statements.rows(FIRST_PARTITION, [day])
      await statements.rows('UPDATE spamd.version SET version = $1', [PG_SCHEMA_VERSION])
      return {
        isChanged: fromVersion < PG_SCHEMA_VERSION,
        fromVersion,
        version: PG_SCHEMA_VERSION,
        grants: GRANTS_FOR_GATEWAYS,
      }
    })
  } finally {
    await link.close()
  }
}

const GRANTS_FOR_GATEWAYS: readonly string[] = [
  'GRANT spamd_daemon TO NAME;   -- a gateway: spamd, spamlogd, spamdb',
  'GRANT spamd_admin TO NAME;    -- an administrator: init-db, move-db',
  'GRANT spamd_monitor TO NAME;  -- monitoring: reads only',
]

const VERSION = `SELECT version, node, home, (SELECT system_identifier FROM pg_control_system()) || ':' ||
  (SELECT oid FROM pg_database WHERE datname = current_database()) FROM spamd.version`
const NEW_HOME = 'UPDATE spamd.version SET node = $1, home = $2 WHERE home = $3'

/** What is known of the tables on a server. */
export interface ServerVersion {
  version: number
  /** Number of the database, 0 before its first writer. */
  node: number
  /** True for a copy, which becomes a node of its own; `home` tells this database from others. */
  isCopy: boolean
  home: string
  formerHome: string
}

/** undefined for a server without our tables. */
export async function readVersion(statements: Statements): Promise<ServerVersion | undefined> {
  const [found] = await statements.rows("SELECT to_regclass('spamd.version') IS NOT NULL")
  if (found?.[0] !== 't') return undefined
  const [row] = await statements.rows(VERSION)
  const [version, node, formerHome, home] = row as [number, number, string, string]
  return { version, node, isCopy: home !== formerHome, home, formerHome }
}

/** Makes a copy of a database a node of its own, once; returns the number of the database. */
export async function settleNode(
  statements: Statements,
  { isCopy, node, home, formerHome }: ServerVersion,
): Promise<number> {
  if (!isCopy) return node
  await statements.rows(NEW_HOME, [newNode(), home, formerHome])
  return (await readVersion(statements))!.node
}

/** What helps where tables or functions are missing or old. */
export const RUN_INIT = 'run "spamdctl init-db" with the same location, as a role that may change the tables'

/** Throws `ERR_DB_OPEN` for tables and functions of an older program. */
export function refuseOlder(version: number): void {
  if (version < PG_SCHEMA_VERSION) {
    throw new AppError(
      'ERR_DB_OPEN',
      `the tables and functions on the server are of version ${version}, and this program needs ${PG_SCHEMA_VERSION}`,
      { hint: RUN_INIT },
    )
  }
}

/** Throws `ERR_DB_OPEN` for tables of a newer program. */
export function refuseNewer(version: number): void {
  if (version > PG_SCHEMA_VERSION) {
    throw new AppError(
      'ERR_DB_OPEN',
      `the tables on the server are of version ${version}, newer than ${PG_SCHEMA_VERSION}`,
      { hint: 'upgrade spamdctl on this machine' },
    )
  }
}

async function refuseOtherEncoding(statements: Statements): Promise<void> {
  const [row] = await statements.rows('SHOW server_encoding')
  if (row?.[0] !== 'UTF8') {
    throw new AppError('ERR_DB_OPEN', `the database has the encoding ${String(row?.[0])}`, {
      hint: 'create one with: createdb --encoding UTF8 --template template0 NAME',
    })
  }
}

/** Two programs creating it at once: the later one finds it done. */
async function makeRole(statements: Statements, role: string): Promise<void> {
  const [found] = await statements.rows('SELECT 1 FROM pg_roles WHERE rolname = $1', [role])
  if (found === undefined) await statements.rows(`CREATE ROLE ${role} NOLOGIN`)
}
