/** The greylister and the scanner on a real database that is locked, or whose disk is full. */
import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test, vi } from 'vitest'
import { Greylister } from '../../../../src/daemon/grey/greylister.js'
import { PoolNetworks } from '../../../../src/daemon/grey/pool-networks.js'
import { Scanner } from '../../../../src/daemon/grey/scanner.js'
import { WhiteTable } from '../../../../src/daemon/grey/white-table.js'
import { BlockLists } from '../../../../src/daemon/lists/block-lists.js'
import { StoreKeeper } from '../../../../src/daemon/store/store-keeper.js'
import { createDatabase, openStore } from '../../../../src/db/open-store.js'
import { systemClock } from '../../../../src/platform/clock.js'
import { MemoryFirewall } from '../../../support/memory-firewall.js'
import { MemoryLogger } from '../../../support/memory-logger.js'
import { PATIENCE } from '../../../support/patience.js'
import { POLICY, Scratch } from '../../../support/scratch-database.js'

const scratch = new Scratch()
const isRoot = process.geteuid?.() === 0 && process.platform === 'linux'
if (!isRoot) process.stdout.write('skipped: a greylister on a full disk needs root for a small tmpfs\n')

function daemonOn(path: string) {
  const logger = new MemoryLogger()
  const keeper = new StoreKeeper({
    logger,
    open: async () => ({
      store: await openStore(path, { mode: 'write', durability: 'normal', busyTimeoutMs: 5 }),
      isCreated: false,
    }),
  })
  const blockLists = new BlockLists({ logger })
  const common = { databasePath: path, policy: POLICY, clock: systemClock, logger, blockLists }
  const greylister = new Greylister({ ...common, useStore: keeper.use })
  const firewall = new MemoryFirewall()
  const whiteTable = new WhiteTable({ firewall, clock: systemClock, logger })
  const pools = new PoolNetworks({ firewall, clock: systemClock, logger })
  const scanner = new Scanner({ ...common, keeper, whiteTable, pools, poolKinds: new Set() })
  return {
    keeper,
    greylister,
    scanner,
    firewall,
    errors: () => logger.lines.filter(({ level }) => level === 'err').map(({ message }) => message),
    submit: (to: string, helo = 'h') =>
      greylister.submit({ clientIp: '192.0.2.1', destinationIp: '127.0.0.1', helo, from: '<a@b>', to }),
    recorded: () => keeper.use(async (store) => (await store.count()).GREY),
    async close() {
      await scanner.stop()
      await greylister.close()
      await whiteTable.close()
      await keeper.close()
    },
  }
}

describe('a database that another program has locked', () => {
  test('clients are answered meanwhile, and nothing is lost', async () => {
    const path = scratch.create()
    const daemon = daemonOn(path)
    await daemon.submit('<0@c>')
    const other = new Database(path)
    other.exec('BEGIN IMMEDIATE')
    for (let index = 1; index <= 50; index += 1) await daemon.submit(`<${index}@c>`)
    expect(daemon.greylister.waitingCount).toBe(50)
    expect(daemon.errors()).toEqual([
      `can't add tuples to ${path} (the database is locked by another program), 1 waiting`,
    ])
    // Reading goes on: the scan has nothing to write and completes.
    expect(await daemon.scanner.scan()).toMatchObject({ isComplete: true })
    other.exec('ROLLBACK')
    other.close()
    await vi.waitFor(() => expect(daemon.greylister.waitingCount).toBe(0), PATIENCE)
    expect(await daemon.recorded()).toBe(51)
    await daemon.close()
  })
  test('a scan with something to write waits for its turn', async () => {
    const path = scratch.create()
    const daemon = daemonOn(path)
    const nowSec = systemClock.nowSec()
    const times = { first: nowSec - 9, pass: nowSec - 9, bcount: 1, pcount: 0 }
    await daemon.keeper.use((store) =>
      store.upsert(
        [
          { kind: 'WHITE', ip: '192.0.2.1', ...times, expire: nowSec - 1 },
          { kind: 'WHITE', ip: '192.0.2.2', ...times, expire: nowSec + 900 },
        ],
        { ifMissing: false },
      ),
    )
    const other = new Database(path)
    other.exec('BEGIN IMMEDIATE')
    const scanning = daemon.scanner.scan()
    const isDone = await Promise.race([scanning.then(() => true), daemon.recorded().then(() => false)])
    expect(isDone).toBe(false)
    other.exec('ROLLBACK')
    other.close()
    expect(await scanning).toMatchObject({ isComplete: true, deletedCount: 1 })
    expect(daemon.firewall.tables.get('spamd-white')).toEqual(['192.0.2.2/32'])
    await daemon.close()
  })
})

describe.skipIf(!isRoot)('a disk that is full', () => {
  test('clients are answered, and what waits is written when there is room again', async () => {
    let isMounted = false
    const folder = scratch.folder(() => {
      if (isMounted) execFileSync('umount', ['-l', folder])
    })
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', folder])
    isMounted = true
    const path = join(folder, 'spamd.sqlite')
    createDatabase(path)
    const daemon = daemonOn(path)
    await daemon.submit('<0@c>')
    const ballast = join(folder, 'ballast')
    const fill = (): void => {
      for (let size = 256 * 1024; size >= 512; size /= 2) {
        try {
          writeFileSync(ballast, Buffer.alloc(size), { flag: 'a' })
        } catch {
          // No room for so much: smaller pieces fill the rest.
        }
      }
    }
    fill()
    for (let index = 1; index <= 200; index += 1) await daemon.submit(`<${index}@c>`, 'h'.repeat(1000))
    expect(daemon.greylister.waitingCount).toBeGreaterThan(0)
    expect(daemon.errors()[0]).toMatch(/^can't add tuples to .* \(.*(full|No space).*\), [0-9]+ waiting$/)
    rmSync(ballast)
    execFileSync('mount', ['-o', 'remount,size=8m', folder])
    await vi.waitFor(() => expect(daemon.greylister.waitingCount).toBe(0), PATIENCE)
    expect(await daemon.recorded()).toBe(201)
    await daemon.close()
  })
})
