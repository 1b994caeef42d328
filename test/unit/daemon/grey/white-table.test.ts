import { describe, expect, test, vi } from 'vitest'
import { HostGatherer } from '../../../../src/daemon/grey/host-gatherer.js'
import { WhiteTable } from '../../../../src/daemon/grey/white-table.js'
import { AppError } from '../../../../src/platform/app-error.js'
import { systemClock } from '../../../../src/platform/clock.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { MemoryFirewall } from '../../../support/memory-firewall.js'
import { MemoryLogger } from '../../../support/memory-logger.js'
import { PATIENCE } from '../../../support/patience.js'

function setOf(...ips: string[]) {
  const gatherer = new HostGatherer()
  for (const ip of ips) gatherer.add(ip)
  return gatherer.takeSet()
}

function harness() {
  const firewall = new MemoryFirewall()
  const logger = new MemoryLogger()
  const table = new WhiteTable({ firewall, logger, clock: systemClock })
  return { firewall, logger, table, content: () => firewall.tables.get('spamd-white') }
}

test('a scan replaces the whole table, hosts of both families', async () => {
  const { table, content } = harness()
  await table.replace(setOf('192.0.2.2', '2001:db8::1', '192.0.2.1', '192.0.2.2'))
  expect(content()).toEqual(['192.0.2.1/32', '192.0.2.2/32', '2001:db8::1/128'])
  await table.replace(setOf())
  expect(content()).toEqual([])
})

test('a promotion is let in before the next scan', async () => {
  const { table, content } = harness()
  await table.replace(setOf('192.0.2.1'))
  table.add('192.0.2.9')
  await vi.waitFor(() => expect(content()).toEqual(['192.0.2.1/32', '192.0.2.9/32']), PATIENCE)
})

test('a promotion before the first scan waits for it: the table is never replaced by a part', async () => {
  const { table, content, firewall } = harness()
  firewall.tables.set('spamd-white', ['203.0.113.1/32'])
  table.add('192.0.2.9')
  await table.close()
  expect(content()).toEqual(['203.0.113.1/32'])
})

test('a scan that says nothing leaves the table as it is, and what changes afterwards is in it at once', async () => {
  const { table, content, firewall } = harness()
  firewall.tables.set('spamd-white', ['203.0.113.1/32'])
  table.add('192.0.2.8')
  table.beginScan()
  table.keep()
  expect(await table.hasRightCount()).toBe(true)
  table.add('192.0.2.9')
  await vi.waitFor(
    () => expect(content()).toEqual(['192.0.2.8/32', '192.0.2.9/32', '203.0.113.1/32']),
    PATIENCE,
  )
  expect(await table.hasRightCount()).toBe(true)
  // The next scan that finds somebody knows better.
  table.beginScan()
  await table.replace(setOf('192.0.2.8', '192.0.2.9'))
  expect(content()).toEqual(['192.0.2.8/32', '192.0.2.9/32'])
})

test('a change that fails in a table that was kept empties nothing and waits for the next scan', async () => {
  const { table, content, firewall, logger } = harness()
  firewall.tables.set('spamd-white', ['203.0.113.1/32'])
  table.beginScan()
  table.keep()
  const changeTable = firewall.changeTable.bind(firewall)
  firewall.changeTable = async () => {
    firewall.changeTable = changeTable
    throw new AppError('ERR_FIREWALL_FAILED', '/sbin/pfctl returned status 1')
  }
  table.add('192.0.2.9')
  await vi.waitFor(() => expect(logger.lines).toHaveLength(1), PATIENCE)
  expect(logger.lines[0]?.message).toBe(
    '/sbin/pfctl returned status 1, table spamd-white is unchanged until the next scan',
  )
  expect(content()).toEqual(['203.0.113.1/32'])
  table.beginScan()
  table.keep()
  await vi.waitFor(() => expect(content()).toEqual(['192.0.2.9/32', '203.0.113.1/32']), PATIENCE)
})

test('promotions while a scan runs are in its table, and one scan later they are what the scan says', async () => {
  const { table, content } = harness()
  await table.replace(setOf('192.0.2.1'))
  table.add('192.0.2.9')
  table.beginScan()
  table.add('192.0.2.10')
  await table.replace(setOf('192.0.2.1', '192.0.2.9'))
  expect(content()).toEqual(['192.0.2.1/32', '192.0.2.9/32', '192.0.2.10/32'])
  table.beginScan()
  await table.replace(setOf('192.0.2.1'))
  expect(content()).toEqual(['192.0.2.1/32'])
})

test('a scan that fails loses no promotion made before it', async () => {
  const { table, content } = harness()
  await table.replace(setOf('192.0.2.1'))
  table.add('192.0.2.9')
  table.beginScan()
  table.beginScan()
  table.add('192.0.2.10')
  await vi.waitFor(
    () => expect(content()).toEqual(['192.0.2.1/32', '192.0.2.9/32', '192.0.2.10/32']),
    PATIENCE,
  )
})

test('a packet filter that fails is logged; the table keeps its content', async () => {
  const { table, content, firewall, logger } = harness()
  await table.replace(setOf('192.0.2.1'))
  firewall.failure = new AppError(
    'ERR_FIREWALL_FAILED',
    'cannot replace table spamd-white: /sbin/pfctl returned status 1',
  )
  await table.replace(setOf('192.0.2.2'))
  expect(content()).toEqual(['192.0.2.1/32'])
  expect(logger.lines.map(({ level, message }) => `${level} ${message}`)).toEqual([
    'err /sbin/pfctl returned status 1, table spamd-white is unchanged until the next scan',
  ])
  expect(table.counters).toEqual({ addressCount: 1, replacements: 1, changes: 0, failures: 1 })
})

test('closing leaves the table and writes no more', async () => {
  const { table, content, firewall } = harness()
  await table.replace(setOf('192.0.2.1'))
  table.add('192.0.2.9')
  await table.close()
  expect(content()).toEqual(['192.0.2.1/32'])
  expect(firewall.replaceCounts.get('spamd-white')).toBe(1)
})

test('changes between scans add and delete single entries, the table is not replaced', async () => {
  const { table, content, firewall } = harness()
  await table.replace(setOf('192.0.2.1', '192.0.2.2'))
  table.remove('192.0.2.2')
  table.add('2001:db8::9')
  await vi.waitFor(() => expect(content()).toEqual(['192.0.2.1/32', '2001:db8::9/128']), PATIENCE)
  expect(firewall.replaceCounts.get('spamd-white')).toBe(1)
  expect(table.counters).toMatchObject({ replacements: 1, changes: 2, addressCount: 2 })
})

test('a change that fails is followed by a whole replace', async () => {
  const { table, content, firewall } = harness()
  await table.replace(setOf('192.0.2.1'))
  const changeTable = firewall.changeTable.bind(firewall)
  firewall.changeTable = async () => {
    firewall.changeTable = changeTable
    throw new AppError('ERR_FIREWALL_FAILED', 'no')
  }
  table.add('192.0.2.9')
  await vi.waitFor(() => expect(content()).toEqual(['192.0.2.1/32', '192.0.2.9/32']), PATIENCE)
  expect(firewall.replaceCounts.get('spamd-white')).toBe(2)
})

test('whether it is in step, and when it was written, is told from the first write on, for a kept table too', async () => {
  const firewall = new MemoryFirewall()
  const clock = new ManualClock(1000)
  const table = new WhiteTable({ firewall, logger: new MemoryLogger(), clock })
  expect([table.isInStep, table.lastWriteSec]).toEqual([false, undefined])
  await table.replace(setOf('192.0.2.1'))
  expect([table.isInStep, table.lastWriteSec]).toEqual([true, 1000])
  table.beginScan()
  table.keep()
  clock.advance(60)
  const changeTable = firewall.changeTable.bind(firewall)
  firewall.changeTable = async () => {
    throw new AppError('ERR_FIREWALL_FAILED', 'no')
  }
  table.add('192.0.2.9')
  await vi.waitFor(() => expect(table.counters.failures).toBe(1), PATIENCE)
  expect([table.isInStep, table.isWhole, table.lastWriteSec]).toEqual([false, false, 1000])
  firewall.changeTable = changeTable
  await table.replace(setOf('192.0.2.1', '192.0.2.9'))
  expect([table.isInStep, table.isWhole, table.lastWriteSec]).toEqual([true, true, 1060])
  await table.close()
})

test('more changes than are worth single calls replace the table once', async () => {
  const { table, content, firewall } = harness()
  await table.replace(setOf('192.0.2.1'))
  for (let index = 0; index <= 2000; index += 1) table.add(`10.0.${index >> 8}.${index & 255}`)
  await vi.waitFor(() => expect(content()).toHaveLength(2002), PATIENCE)
  expect(firewall.replaceCounts.get('spamd-white')).toBe(2)
})

test('an address that is taken out while a scan runs is not in its table', async () => {
  const { table, content } = harness()
  await table.replace(setOf('192.0.2.1', '192.0.2.9'))
  table.beginScan()
  table.remove('192.0.2.9')
  await table.replace(setOf('192.0.2.1', '192.0.2.9'))
  expect(content()).toEqual(['192.0.2.1/32'])
})

test('a table that was emptied is written again as it was, with what changed since the scan', async () => {
  const { table, content, firewall } = harness()
  await table.replace(setOf('192.0.2.1'))
  table.add('192.0.2.9')
  await vi.waitFor(() => expect(content()).toHaveLength(2), PATIENCE)
  firewall.lose()
  table.rewrite()
  await vi.waitFor(() => expect(content()).toEqual(['192.0.2.1/32', '192.0.2.9/32']), PATIENCE)
})

test('a count that is wrong is noticed, one that cannot be told is not', async () => {
  const { table, firewall } = harness()
  await table.replace(setOf('192.0.2.1', '192.0.2.2'))
  expect(await table.hasRightCount()).toBe(true)
  firewall.tables.set('spamd-white', ['192.0.2.1/32'])
  expect(await table.hasRightCount()).toBe(false)
  firewall.countTable = async () => undefined
  expect(await table.hasRightCount()).toBe(true)
})

describe('a table that takes a second to write', () => {
  async function slowHarness() {
    const firewall = new MemoryFirewall()
    const clock = new ManualClock()
    const table = new WhiteTable({ firewall, logger: new MemoryLogger(), clock })
    const replaceTable = firewall.replaceTable.bind(firewall)
    firewall.replaceTable = async (spec, content) => {
      await replaceTable(spec, content)
      clock.advance(1)
    }
    await table.replace(setOf('192.0.2.1'))
    return { clock, firewall, table, replacements: () => table.counters.replacements }
  }

  test('is not written again when nothing changed, until 400 times as long has passed', async () => {
    const { clock, table, replacements } = await slowHarness()
    for (const seconds of [0, 60, 330]) {
      clock.advance(seconds)
      await table.renew()
      table.beginScan()
      await table.replace(setOf('192.0.2.1'))
      expect(replacements()).toBe(1)
    }
    clock.advance(20)
    await table.renew()
    expect(replacements()).toBe(2)
    clock.advance(401)
    table.beginScan()
    await table.replace(setOf('192.0.2.1'))
    expect(replacements()).toBe(3)
  })

  test('is not written again while nobody else changes the packet filter, and at the next scan after somebody did', async () => {
    const { clock, firewall, table, replacements } = await slowHarness()
    let changeCount: number | undefined = 3
    Object.assign(firewall, { changesByOthers: async () => changeCount })
    // The first writing was before anything was known of others.
    clock.advance(401)
    await table.renew()
    expect(replacements()).toBe(2)
    for (const seconds of [401, 4000, 40_000]) {
      clock.advance(seconds)
      await table.renew()
      expect(replacements()).toBe(2)
    }
    changeCount = 4
    await table.renew()
    expect(replacements()).toBe(3)
    changeCount = undefined
    clock.advance(401)
    await table.renew()
    expect(replacements()).toBe(4)
  })

  test('is written at once when a scan finds another one, when it was lost, and when writing failed', async () => {
    const { firewall, table, replacements } = await slowHarness()
    table.beginScan()
    await table.replace(setOf('192.0.2.2'))
    expect(replacements()).toBe(2)
    firewall.lose()
    table.rewrite()
    await table.renew()
    expect(firewall.tables.get('spamd-white')).toEqual(['192.0.2.2/32'])
    firewall.failure = new AppError('ERR_FIREWALL_FAILED', 'returned status 1')
    table.rewrite()
    await table.renew()
    firewall.failure = undefined
    await table.renew()
    expect(table.isWhole).toBe(true)
    expect(table.counters.failures).toBe(1)
    await table.close()
  })
})

test('while the lines of a large table are made, others have their turn', async () => {
  const { table, content } = harness()
  const ips = Array.from({ length: 10_000 }, (_, n) => `10.${n >> 15}.${(n >> 7) & 255}.${(n * 2) & 255}`)
  const set = setOf(...ips)
  // A machine on which everything takes long.
  let nowMs = performance.now()
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => (nowMs += 10))
  let turns = 0
  let isOver = false
  const turn = () => {
    turns += 1
    if (!isOver) setImmediate(turn)
  }
  setImmediate(turn)
  try {
    await table.replace(set)
  } finally {
    isOver = true
    clock.mockRestore()
  }
  expect(content()).toHaveLength(ips.length)
  expect(turns).toBeGreaterThanOrEqual(5)
})
