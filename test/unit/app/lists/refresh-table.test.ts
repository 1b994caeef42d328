/** When the table of blocked networks is left as it is, and what is said of a large one. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { CombinedList } from '../../../../src/app/lists/combine-lists.js'
import type { Problem } from '../../../../src/app/lists/configured-list.js'
import { type LoadedIndex, LoadedLists } from '../../../../src/app/lists/loaded-lists.js'
import { RefreshTable, type RefreshTableParts } from '../../../../src/app/lists/refresh-table.js'
import { IpRangeCollector } from '../../../../src/ip/ip-range-set.js'
import { MemoryFirewall } from '../../../support/memory-firewall.js'

const DAY = 86_400

let stateDir = ''
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'refresh-table-'))
})
afterEach(() => rmSync(stateDir, { recursive: true }))

function setOf(count: number) {
  const collector = new IpRangeCollector()
  for (let index = 0; index < count; index += 1) collector.ipv4.addAddress(0x0b000000 + index * 2)
  return collector.takeSet()
}

/** A table of so many networks that a run before loaded, and the run after it. */
async function loadedTable(parts: Partial<RefreshTableParts> = {}, firewallName = 'nft') {
  const firewall = Object.assign(new MemoryFirewall(), { name: firewallName })
  const told: Problem[] = []
  const loaded = new LoadedLists(stateDir)
  await loaded.open()
  const open = (more: Partial<RefreshTableParts> = {}) =>
    new RefreshTable({
      firewall,
      isDryRun: false,
      wantsChanges: false,
      hasOutput: false,
      startedSec: 100 * DAY,
      openLoaded: async () => loaded,
      attempt: async (action) => action().catch(() => undefined),
      tell: (problem) => void told.push(problem),
      ...parts,
      ...more,
    })
  const change = (index: Partial<LoadedIndex>) => loaded.writeIndex({ ...loaded.index, ...index })
  return { firewall, told, loaded, open, change, table: open() }
}

const UNCHANGED = { unchangedLine: {} } as unknown as CombinedList

describe('a table is as given', () => {
  async function loaded() {
    const parts = await loadedTable()
    await parts.change({ names: ['a'], wasComplete: true, firstRunSec: 1 })
    await parts.table.load(setOf(3), { hasLists: true })
    return parts
  }

  test('when every list is unchanged and it holds what was loaded', async () => {
    const { table, firewall } = await loaded()
    expect(await table.isAsGiven([UNCHANGED], { keepsVanished: false })).toBe(true)
    expect(table.asGiven()).toMatchObject({ outcome: 'as wanted', cidrs: undefined })
    firewall.tables.set('spamd', ['192.0.2.1/32'])
    expect(await table.isAsGiven([UNCHANGED], { keepsVanished: false })).toBe(false)
  })

  test.each<[string, Partial<LoadedIndex>]>([
    ['a run was not complete', { wasComplete: false }],
    ['its digest is unknown', { tableDigest: undefined }],
    ['spamd had another list', { names: ['a', 'b'] }],
    ['spamd had no list', { names: [] }],
    ['a list is still to be cleared', { toClear: ['b'] }],
  ])('not if %s', async (_name, index) => {
    const { table, change } = await loaded()
    await change(index)
    expect(await table.isAsGiven([UNCHANGED], { keepsVanished: false })).toBe(false)
  })

  test('not if lists are kept that vanished, one changed, or there is none', async () => {
    const { table } = await loaded()
    expect(await table.isAsGiven([UNCHANGED], { keepsVanished: true })).toBe(false)
    expect(await table.isAsGiven([UNCHANGED, {} as CombinedList], { keepsVanished: false })).toBe(false)
    expect(await table.isAsGiven([], { keepsVanished: false })).toBe(false)
  })

  test.each([{ isDryRun: true }, { hasOutput: true }])('not with %j', async (parts) => {
    const { open } = await loaded()
    expect(await open(parts).isAsGiven([UNCHANGED], { keepsVanished: false })).toBe(false)
  })

  test('without a packet filter there is nothing to compare', async () => {
    const { open } = await loaded()
    const table = open({ firewall: undefined })
    expect(await table.isAsGiven([UNCHANGED], { keepsVanished: true })).toBe(true)
    expect(table.asGiven()).toBeUndefined()
    expect(await table.load(setOf(1), { hasLists: true })).toBeUndefined()
  })
})

describe('loading', () => {
  test('is left alone without lists, and in a dry run', async () => {
    const { firewall, open } = await loadedTable()
    firewall.tables.set('spamd', ['11.0.0.0/32'])
    expect(await open().load(setOf(2), { hasLists: false })).toMatchObject({
      outcome: 'left alone',
      change: undefined,
    })
    const dry = open({ isDryRun: true })
    expect(await dry.load(setOf(2), { hasLists: true })).toMatchObject({
      outcome: 'left alone',
      change: undefined,
    })
    const told = await open({ isDryRun: true, wantsChanges: true }).load(setOf(2), { hasLists: true })
    expect(told?.change).toBeDefined()
    expect(firewall.tables.get('spamd')).toEqual(['11.0.0.0/32'])
  })

  test.each([
    [7 * DAY - 1, true],
    [7 * DAY, false],
    // The clock was ahead then.
    [-DAY, true],
    [-365 * DAY, false],
  ])(
    '%i seconds after the first run, which was not complete, what was there stays: %s',
    async (age, stays) => {
      const { firewall, change, table } = await loadedTable()
      firewall.tables.set('spamd', ['192.0.2.1/32'])
      await change({ firstRunSec: 100 * DAY - age, wasComplete: false })
      await table.load(setOf(1), { hasLists: true })
      expect(firewall.tables.get('spamd')).toEqual(['11.0.0.0/32', ...(stays ? ['192.0.2.1/32'] : [])])
    },
  )

  test('that fails is told as a result', async () => {
    const { firewall, table } = await loadedTable()
    firewall.replaceTable = async () => {
      throw new Error('no')
    }
    expect(await table.load(setOf(1), { hasLists: true })).toMatchObject({ outcome: 'failed' })
  })

  test('a set that becomes too large for nft is told once, and for nft alone', async () => {
    const warning = {
      message: 'warning: nft is slow with 200000 networks and uses more than 1 kB of memory per network',
      hint: '--firewall ipset (SPAMD_FIREWALL) loads 500,000 in 2 seconds where nft takes 26',
      isError: false,
    }
    const { table, told, change, loaded } = await loadedTable()
    await change({ wasComplete: true, firstRunSec: 1 })
    await table.load(setOf(199_999), { hasLists: true })
    expect(told).toEqual([])
    await table.load(setOf(200_000), { hasLists: true })
    expect(told).toEqual([warning])
    expect(loaded.index.tableCount).toBe(200_000)
    await table.load(setOf(200_001), { hasLists: true })
    expect(told).toHaveLength(1)
    const other = await loadedTable({}, 'ipset')
    await other.change({ tableCount: 0 })
    await other.table.load(setOf(200_000), { hasLists: true })
    expect(other.told).toEqual([])
  })
})
