/** The table of networks that pools opened. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { PoolNetworks } from '../../../../src/daemon/grey/pool-networks.js'
import { WhiteFile } from '../../../../src/daemon/grey/white-file.js'
import { AppError } from '../../../../src/platform/app-error.js'
import { systemClock } from '../../../../src/platform/clock.js'
import { MemoryFirewall } from '../../../support/memory-firewall.js'
import { MemoryLogger } from '../../../support/memory-logger.js'
import { PATIENCE } from '../../../support/patience.js'
import { contentOf } from '../../../support/table-content.js'

function harness(file?: WhiteFile) {
  const firewall = new MemoryFirewall()
  const logger = new MemoryLogger()
  const pools = new PoolNetworks({ firewall, logger, clock: systemClock, file })
  return { firewall, logger, pools, content: () => firewall.tables.get('spamd-white-net') }
}

test('a scan replaces the whole table: networks inside others are joined', async () => {
  const { pools, content } = harness()
  await pools.replace(['192.0.2.0/24', '2001:db8::/64', '192.0.2.128/25', '198.51.100.7/32'])
  expect(content()).toEqual(['192.0.2.0/24', '198.51.100.7/32', '2001:db8::/64'])
  expect(pools.counters).toEqual({ networkCount: 4, replacements: 1, failures: 0 })
  await pools.replace([])
  expect(content()).toEqual([])
})

test('what opens and closes between scans is written soon, and not lost by a scan that began before', async () => {
  const { pools, content } = harness()
  await pools.replace(['192.0.2.0/24'])
  pools.note('203.0.113.0/24', 'open')
  pools.note('192.0.2.0/24', 'closed')
  await vi.waitFor(() => expect(content()).toEqual(['203.0.113.0/24']), PATIENCE)
  pools.beginScan()
  pools.note('198.51.100.0/24', 'open')
  await pools.replace(['203.0.113.0/24'])
  expect(content()).toEqual(['198.51.100.0/24', '203.0.113.0/24'])
})

test('a burst is written together', async () => {
  const { pools, content } = harness()
  await pools.replace([])
  for (let index = 0; index < 200; index += 1) pools.note(`10.0.${index}.0/24`, 'open')
  await vi.waitFor(() => expect(pools.counters.networkCount).toBe(200), PATIENCE)
  expect(pools.counters.replacements).toBeLessThan(10)
  expect(content()).toContain('10.0.0.0/17')
})

test('before the first scan the table is left as it is', async () => {
  const { pools, content, firewall } = harness()
  firewall.tables.set('spamd-white-net', ['203.0.113.0/24'])
  pools.note('192.0.2.0/24', 'open')
  await pools.close()
  expect(content()).toEqual(['203.0.113.0/24'])
})

test('a table that an earlier daemon left is emptied, one that is not there is not made', async () => {
  const { pools, content, firewall } = harness()
  await pools.clearLeft()
  expect(content()).toBeUndefined()
  firewall.tables.set('spamd-white-net', ['203.0.113.0/24'])
  await pools.clearLeft()
  expect(content()).toEqual([])
})

test('a packet filter that refuses is told once a try, and the next scan tries again', async () => {
  const { pools, logger, firewall, content } = harness()
  const replace = vi.spyOn(firewall, 'replaceTable')
  replace.mockRejectedValueOnce(new AppError('ERR_FIREWALL_FAILED', '/sbin/pfctl returned status 1'))
  await pools.replace(['192.0.2.0/24'])
  expect(logger.lines.map(({ message }) => message)).toEqual([
    '/sbin/pfctl returned status 1, table spamd-white-net is unchanged until the next scan',
  ])
  expect(pools.counters).toMatchObject({ failures: 1, replacements: 0 })
  await pools.replace(['192.0.2.0/24'])
  expect(content()).toEqual(['192.0.2.0/24'])
  vi.spyOn(firewall, 'readTable').mockRejectedValueOnce(new Error('no'))
  await pools.clearLeft()
  expect(logger.lines.at(-1)?.message).toBe('cannot read table spamd-white-net: no')
})

test('the file for a load balancer holds the networks behind the addresses', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pools-'))
  try {
    const path = join(folder, 'white')
    const file = new WhiteFile({ path, logger: new MemoryLogger() })
    const { pools } = harness(file)
    await pools.replace(['192.0.2.0/24'])
    await file.write(contentOf(['198.51.100.1/32', '2001:db8::1/128']))
    expect(readFileSync(path, 'utf8')).toBe('198.51.100.1/32\n2001:db8::1/128\n192.0.2.0/24\n')
    await pools.replace([])
    expect(readFileSync(path, 'utf8')).toBe('198.51.100.1/32\n2001:db8::1/128\n')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
