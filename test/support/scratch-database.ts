import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, test } from 'vitest'
import { createDatabase, type OpenStoreOptions, openStore } from '../../src/db/open-store.js'
import type { GreyPolicy, Store, TupleAttempt } from '../../src/db/store.js'
import type { Entry } from '../../src/domain/entry.js'
import type { EntryQuery } from '../../src/domain/query.js'
import type { PostgresServer } from './postgres-server.js'

/** The clock of the recorded transcripts. */
export const NOW = 1_700_000_000

/** The original's lifetimes, and limits that no small test reaches. */
export const POLICY: GreyPolicy = {
  passSec: 1500,
  greyExpireSec: 14_400,
  whiteExpireSec: 3_110_400,
  trapExpireSec: 86_400,
  maxTuplesPerAddress: 1000,
  maxTuples: 100_000,
}

/** The same with a passtime of one minute, for tests that let a client pass. */
export const QUICK_POLICY: GreyPolicy = { ...POLICY, passSec: 60 }

/** The kind of store of the databases of `Scratch`; see test/db. */
let server: PostgresServer | undefined

/** Makes every `Scratch` of this test file create its databases on a server. */
export function useServer(running: PostgresServer): void {
  server = running
}

/** A test about SQLite itself, which has no meaning on a server. */
export function sqliteTest(name: string, body: () => Promise<void>): void {
  if (server === undefined) test(name, body)
}

/** A group of such tests. */
export function sqliteSuite(name: string, body: () => void): void {
  if (server === undefined) describe(name, body)
}

/** Number of runs of a property test that creates a database per run; on a server each takes a hundred times as long. */
export function runsWithDatabase(count: number): number {
  return server === undefined ? count : Math.ceil(count / 6)
}

/** True if the databases are on a server. */
export function isOnServer(): boolean {
  return server !== undefined
}

/** Databases in their own folder; everything is closed and removed after each test. */
export class Scratch {
  readonly #folders: { path: string; release: () => void }[] = []
  readonly #stores: Store[] = []
  readonly #onServer: { server: PostgresServer; location: string }[] = []

  constructor() {
    afterEach(async () => {
      for (const store of this.#stores.splice(0)) await store.close()
      for (const made of this.#onServer.splice(0)) await made.server.takeBack(made.location)
      for (const { path, release } of this.#folders.splice(0)) {
        release()
        rmSync(path, { recursive: true, force: true })
      }
    })
  }

  /** A new empty folder; `release` runs before it is removed. */
  folder(release: () => void = () => {}): string {
    const path = mkdtempSync(join(tmpdir(), 'spamdctl-db-'))
    this.#folders.push({ path, release })
    return path
  }

  /** Path of a new database. */
  create(): string {
    const path = join(this.folder(), 'spamd.sqlite')
    createDatabase(path)
    return path
  }

  async open(path: string, options: Partial<OpenStoreOptions> = {}): Promise<Store> {
    const store = await openStore(path, { mode: 'write', ...options })
    this.#stores.push(store)
    return store
  }

  /** A new database, open for writing. */
  async store(options: Partial<OpenStoreOptions> = {}): Promise<Store> {
    if (server === undefined) return this.open(this.create(), options)
    const location = await server.createDatabase()
    this.#onServer.push({ server, location })
    return this.open(location, options)
  }
}

/** The whole classic listing, latin-1. */
export async function listingOf(store: Store, query?: EntryQuery): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of store.listText(query)) chunks.push(chunk)
  return Buffer.concat(chunks).toString('latin1')
}

/** All entries that a query lists. */
export async function entriesOf(store: Store, query?: EntryQuery): Promise<Entry[]> {
  const entries: Entry[] = []
  for await (const chunk of store.list(query)) entries.push(...chunk)
  return entries
}

/** An attempt of a client to send to user@example.net. */
export function attemptOf(ip: string, changes: Partial<TupleAttempt> = {}): TupleAttempt {
  return {
    tuple: { ip, helo: 'mx.example.org', from: '<s@example.org>', to: '<user@example.net>' },
    clientIp: ip,
    trapKey: 'user@example.net',
    isDomainTrap: false,
    isLowPriorityMx: false,
    mayPromote: true,
    ...changes,
  }
}
