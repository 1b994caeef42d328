/** Changes by other programs, seen by a whole daemon: in the table and on the trap list without a scan. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { parseSpamdOptions } from '../../../../src/cli/spamd/parse-spamd-options.js'
import { openStore } from '../../../../src/db/open-store.js'
import type { ManualEdit, Store } from '../../../../src/db/store.js'
import { setOfPrefixes } from '../../../../src/ip/prefix-ranges.js'
import { systemClock } from '../../../../src/platform/clock.js'
import { PATIENCE } from '../../../support/patience.js'
import { attemptOf, POLICY } from '../../../support/scratch-database.js'
import { createTestDaemon, daemonEnvironment, type TestDaemon } from '../../../support/spamd/test-daemon.js'

let folder: string
let daemon: TestDaemon
/** The database as spamdb or another program has it open. */
let other: Store

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'follow-'))
  const parsed = parseSpamdOptions(['-s', '0', '-S', '0', '--grey-prefix4', '24'], {
    hostname: 'mx.example',
    maxFiles: undefined,
    environment: daemonEnvironment(folder),
  })
  if (!parsed.ok) throw new Error(parsed.stderr)
  daemon = createTestDaemon(parsed.config, systemClock)
  other = await openStore(parsed.config.settings.db, { mode: 'write', create: true })
  await edit({ operation: 'add', kind: 'WHITE', ip: '192.0.2.1' })
  await daemon.service.start()
  await vi.waitFor(() => expect(table()).toEqual(['192.0.2.1/32']), PATIENCE)
})
afterEach(async () => {
  await daemon.service.stop()
  await other.close()
  rmSync(folder, { recursive: true, force: true })
})

const table = (): string[] | undefined => daemon.firewall.tables.get('spamd-white')
const edit = (...edits: ManualEdit[]) => other.edit(edits, systemClock.nowSec())
const becomes = (want: string[]) => vi.waitFor(() => expect(table()).toEqual(want), PATIENCE)
const scans = (): number | undefined => daemon.service.scanner?.lastReport?.atSec

test('the network of a pool that is closed by hand, and by an address in it that becomes TRAPPED', async () => {
  const pools = (): string[] | undefined => daemon.firewall.tables.get('spamd-white-net')
  const pool = (ip: string) =>
    ({ kind: 'POOL', ip, pool: ip, first: 1, pass: 2, bcount: 2, pcount: 0 }) as const
  const expire = systemClock.nowSec() + 9999
  const scan = scans()
  // Another gateway goes by SPF; this one does not.
  await other.upsert([{ ...pool('192.0.7.0/24'), pool: 'spf:example.org', expire }], { ifMissing: false })
  await other.upsert(
    ['192.0.3.0/24', '192.0.4.0/24', '192.0.5.0/24'].map((ip) => ({ ...pool(ip), expire })),
    { ifMissing: false },
  )
  const holds = (want: string[]) => vi.waitFor(() => expect(pools()).toEqual(want), PATIENCE)
  await holds(['192.0.3.0/24', '192.0.4.0/23'])
  await edit({ operation: 'delete', key: { kind: 'pool', ip: '192.0.4.0/24' } })
  await holds(['192.0.3.0/24', '192.0.5.0/24'])
  await edit({ operation: 'add', kind: 'TRAPPED', ip: '192.0.3.9' })
  await holds(['192.0.5.0/24'])
  // An import looks at no network; the daemon does.
  await other.upsert(
    [{ kind: 'TRAPPED', ip: '192.0.5.9', first: 1, pass: 0, expire, bcount: 1, pcount: -1 }],
    { ifMissing: false },
  )
  await holds([])
  expect(scans()).toBe(scan)
})

test('an address that is added and deleted by hand', async () => {
  const scan = scans()
  await edit({ operation: 'add', kind: 'WHITE', ip: '2001:db8::5' })
  await becomes(['192.0.2.1/32', '2001:db8::5/128'])
  await edit({ operation: 'delete', key: { kind: 'host', ip: '192.0.2.1' } })
  await becomes(['2001:db8::5/128'])
  expect(scans()).toBe(scan)
})

test('WHITE that becomes TRAPPED leaves the table and is on the trap list, and the other way', async () => {
  await edit({ operation: 'add', kind: 'TRAPPED', ip: '192.0.2.1' })
  await becomes([])
  expect(daemon.service.blockLists.match('192.0.2.1')).toMatchObject([{ listName: 'spamd-greytrap' }])
  await edit({ operation: 'add', kind: 'WHITE', ip: '192.0.2.1' })
  await becomes(['192.0.2.1/32'])
  expect(daemon.service.blockLists.match('192.0.2.1')).toEqual([])
  await daemon.service.scanner?.scan()
  expect(daemon.service.blockLists.match('192.0.2.1')).toEqual([])
  expect(table()).toEqual(['192.0.2.1/32'])
})

test('an address on a block list is not let in by a change', async () => {
  const none = { count: 0, words: new Uint32Array(), prefixLengths: new Uint8Array() }
  const one = { count: 1, words: Uint32Array.of(0xc0000209), prefixLengths: Uint8Array.of(32) }
  daemon.service.blockLists.replaceSet('black', 'no', setOfPrefixes(one, none), 1)
  await edit(
    { operation: 'add', kind: 'WHITE', ip: '192.0.2.9' },
    { operation: 'add', kind: 'WHITE', ip: '192.0.2.8' },
  )
  await becomes(['192.0.2.1/32', '192.0.2.8/32'])
})

test('a table that somebody flushed is filled again', async () => {
  daemon.firewall.lose()
  await becomes(['192.0.2.1/32'])
  expect(daemon.logger.lines.some(({ message }) => message.startsWith('table spamd-white was emptied'))).toBe(
    true,
  )
})

test('more changes at once than are followed one by one are in the table as well', async () => {
  const edits = Array.from({ length: 1500 }, (_, index): ManualEdit => {
    return { operation: 'add', kind: 'WHITE', ip: `10.0.${index >> 8}.${index & 255}` }
  })
  await edit(...edits)
  await vi.waitFor(() => expect(table()).toHaveLength(1501), PATIENCE)
})

test('a flood of tuples hides no change of an address, and makes no scan', async () => {
  const scanCount = daemon.service.scanner!.counters.scans
  const attempts = Array.from({ length: 4000 }, (_, n) => attemptOf(`10.0.${n >> 8}.${n & 255}`))
  await other.recordAttempts(attempts.slice(0, 2000), POLICY, systemClock.nowSec())
  await edit({ operation: 'add', kind: 'WHITE', ip: '192.0.2.7' })
  await other.recordAttempts(attempts.slice(2000), POLICY, systemClock.nowSec())
  await becomes(['192.0.2.1/32', '192.0.2.7/32'])
  expect(daemon.service.scanner!.counters.scans).toBe(scanCount)
})
