import { expect, test, vi } from 'vitest'
import { HostGatherer } from '../../../../src/daemon/grey/host-gatherer.js'
import { WhiteTable } from '../../../../src/daemon/grey/white-table.js'
import { MemoryFirewall } from '../../../../src/firewall/memory.js'
import { AppError } from '../../../../src/platform/app-error.js'
import { systemClock } from '../../../../src/platform/clock.js'
import { MemoryLogger } from '../../../../src/platform/log.js'
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
    'err /sbin/pfctl returned status 1, table spamd-white stays as it was until the next scan',
  ])
  expect(table.counters).toEqual({ addressCount: 1, replacements: 1, failures: 1 })
})

test('closing leaves the table and writes no more', async () => {
  const { table, content, firewall } = harness()
  await table.replace(setOf('192.0.2.1'))
  table.add('192.0.2.9')
  await table.close()
  expect(content()).toEqual(['192.0.2.1/32'])
  expect(firewall.replaceCounts.get('spamd-white')).toBe(1)
})
