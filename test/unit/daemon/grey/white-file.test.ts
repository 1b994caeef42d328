import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { HostGatherer } from '../../../../src/daemon/grey/host-gatherer.js'
import { WhiteFile } from '../../../../src/daemon/grey/white-file.js'
import { WhiteTable } from '../../../../src/daemon/grey/white-table.js'
import { systemClock } from '../../../../src/platform/clock.js'
import { MemoryFirewall } from '../../../support/memory-firewall.js'
import { MemoryLogger } from '../../../support/memory-logger.js'
import { PATIENCE } from '../../../support/patience.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'white-file-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function setOf(...ips: string[]) {
  const gatherer = new HostGatherer()
  for (const ip of ips) gatherer.add(ip)
  return gatherer.takeSet()
}

function harness(path = join(folder, 'white')) {
  const logger = new MemoryLogger()
  const file = new WhiteFile({ path, logger })
  const table = new WhiteTable({ firewall: new MemoryFirewall(), logger, clock: systemClock, file })
  return { table, path, read: () => readFileSync(path, 'latin1'), lines: () => logger.lines }
}

test('holds what the table holds, one CIDR a line, readable for others, and nothing else is left', async () => {
  const { table, path, read } = harness()
  await table.replace(setOf('192.0.2.2', '2001:db8::1'))
  expect(read()).toBe('192.0.2.2/32\n2001:db8::1/128\n')
  expect(statSync(path).mode & 0o777).toBe(0o644)
  table.add('192.0.2.9')
  await vi.waitFor(() => expect(read()).toBe('192.0.2.2/32\n192.0.2.9/32\n2001:db8::1/128\n'), PATIENCE)
  table.beginScan()
  await table.replace(setOf())
  expect([read(), readdirSync(folder)]).toEqual(['', ['white']])
})

test('is not touched while nothing changes', async () => {
  const { table, path } = harness()
  await table.replace(setOf('192.0.2.1'))
  utimesSync(path, 1, 1)
  await table.replace(setOf('192.0.2.1'))
  expect(statSync(path).mtimeMs).toBe(1000)
  await table.replace(setOf('192.0.2.1', '192.0.2.2'))
  expect(statSync(path).mtimeMs).toBeGreaterThan(1000)
})

test('a folder that is missing is told once and keeps nobody from the table', async () => {
  const path = join(folder, 'missing', 'white')
  const { table, lines } = harness(path)
  await table.replace(setOf('192.0.2.1'))
  await table.replace(setOf('192.0.2.2'))
  expect(lines().map(({ level, message }) => `${level} ${message}`)).toEqual([
    `err cannot write ${path}: No such file or directory: the white list in it is out of date`,
  ])
  expect(table.counters.replacements).toBe(2)
})

test('a missing file is made empty at the start, so that a balancer can start; one that is there stays', async () => {
  const { table, path, read } = harness()
  const ensure = () => new WhiteFile({ path, logger: new MemoryLogger() }).ensure()
  await ensure()
  expect(read()).toBe('')
  expect(statSync(path).mode & 0o777).toBe(0o644)
  await table.replace(setOf('192.0.2.2'))
  await ensure()
  expect(read()).toBe('192.0.2.2/32\n')
})

test('a table of which nobody knows all leaves the file of an earlier run as it is', async () => {
  const { table, path, read } = harness()
  writeFileSync(path, '203.0.113.1/32\n')
  table.beginScan()
  table.keep()
  table.add('192.0.2.9')
  await vi.waitFor(() => expect(table.counters.changes).toBe(1), PATIENCE)
  await table.close()
  expect(read()).toBe('203.0.113.1/32\n')
})
