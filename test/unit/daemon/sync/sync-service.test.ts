import { createSocket } from 'node:dgram'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { readSyncKeyFile } from '../../../../src/app/sync/sync-key.js'
import { decodeSyncMessage, encodeSyncMessage, syncKeyOf } from '../../../../src/codec/sync-message.js'
import { Greylister } from '../../../../src/daemon/grey/greylister.js'
import { StoreKeeper } from '../../../../src/daemon/store/store-keeper.js'
import type { SyncParts, SyncService } from '../../../../src/daemon/sync/sync-parts.js'
import { createSyncService } from '../../../../src/daemon/sync/sync-service.js'
import { createDatabase, openStore } from '../../../../src/db/open-store.js'
import type { Store } from '../../../../src/db/store.js'
import type { ManualEdit } from '../../../../src/domain/requests.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { MemoryDebugOutput } from '../../../support/memory-debug-output.js'
import { MemoryLogger } from '../../../support/memory-logger.js'
import { PATIENCE } from '../../../support/patience.js'
import { temporaryFolder } from '../../../support/program-run.js'
import { reservePort } from '../../../support/reserve-port.js'
import { QUICK_POLICY } from '../../../support/scratch-database.js'
import { UdpRecorder } from '../../../support/udp-recorder.js'

const parent = temporaryFolder('sync-service')

const NOW = 1_700_000_000
const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

interface HostOptions {
  listen?: string
  targets?: string[]
  port: number
  key?: string
  /** Root can read every file, but no folder. */
  keyIsFolder?: boolean
  isBlackOnly?: boolean
  sync?: Partial<SyncParts['config']['sync']>
  /** As if the database were on a server; what it holds is in a file all the same. */
  isOnServer?: boolean
}

const WHITE = { kind: 'WHITE', expire: NOW + 500 } as const

/** A spamd without its SMTP side. */
async function host(options: HostOptions) {
  const folder = mkdtempSync(join(parent, 'sync-'))
  const keyPath = join(folder, 'key')
  const setKey = (key: string) => writeFileSync(keyPath, key, { mode: 0o600 })
  if (options.key !== undefined) setKey(options.key)
  if (options.keyIsFolder === true) mkdirSync(keyPath)
  const path = join(folder, 'db')
  createDatabase(path)
  const clock = new ManualClock(NOW)
  const logger = new MemoryLogger()
  const debug = new MemoryDebugOutput()
  const keeper = new StoreKeeper({
    logger,
    open: async () => ({ store: await openStore(path, { mode: 'write' }), isCreated: false }),
  })
  const common = { policy: QUICK_POLICY, clock, logger, debug }
  let service: SyncService | undefined
  const greylister = new Greylister({
    ...common,
    useStore: keeper.use,
    databasePath: path,
    blockLists: { match: () => [], overlaps: () => false },
    sync: {
      announceGrey: (tuple) => service!.announcer.announceGrey(tuple),
      announceHost: (ip, entry) => service!.announcer.announceHost(ip, entry),
    },
  })
  const parts = {
    ...common,
    grey: options.isBlackOnly === true ? undefined : { keeper, greylister: () => greylister },
    config: {
      settings: {
        db: options.isOnServer === true ? 'postgres://gateway@db.example.org/spamd' : path,
        localDb: path,
        key: keyPath,
        syncPort: options.port,
      },
      sync: {
        targets: options.targets ?? [],
        listen: options.listen,
        maxSkewSec: 3600,
        checksReplay: true,
        version: 2,
        requiresKey: false,
        peers: [],
        ...options.sync,
      },
    },
    resources: { readSyncKey: async () => readSyncKeyFile(keyPath) },
  } as unknown as SyncParts
  service = createSyncService(parts)
  await service.start()
  closers.push(async () => {
    await service.stop()
    await greylister.close()
    await keeper.close()
    rmSync(folder, { recursive: true })
  })
  const listing = async (): Promise<string> => {
    const chunks: Uint8Array[] = []
    for await (const chunk of await keeper.use(async (store) => store.listText())) chunks.push(chunk)
    return Buffer.concat(chunks).toString('latin1')
  }
  const submit = (part: Partial<Parameters<Greylister['submit']>[0]> = {}) =>
    greylister.submit({
      clientIp: '192.0.2.1',
      destinationIp: '198.51.100.1',
      helo: 'h',
      from: '<a@b>',
      to: '<c@d>',
      ...part,
    })
  return {
    service,
    clock,
    keeper,
    submit,
    listing,
    setKey,
    keyPath,
    logged: () => logger.lines.map(({ level, message }) => `${level} ${message}`),
    shown: () => debug.lines.map(({ line }) => line),
    status: () =>
      service.status() as {
        received: { received: number; refused: Record<string, number> }
        entries: { applied: number }
      },
  }
}

async function pair(keyA?: string, keyB = keyA) {
  const port = await reservePort()
  const key = (text: string | undefined) => (text === undefined ? {} : { key: text })
  const b = await host({ port, listen: '127.0.0.3', ...key(keyB) })
  const a = await host({ port, listen: '127.0.0.2', targets: ['127.0.0.3'], ...key(keyA) })
  return { a, b, port }
}

describe('two hosts', () => {
  test('share tuples, traps and white addresses', async () => {
    const { a, b } = await pair('secret\n')
    await a.keeper.use((store) =>
      store.edit([{ operation: 'add', kind: 'SPAMTRAP', address: 'trap@d' }], NOW),
    )
    await a.submit()
    await a.submit({ clientIp: '192.0.2.4', to: '<Trap@d>' })
    a.service.announcer.announceHost('192.0.2.7', WHITE)
    await vi.waitFor(
      async () =>
        expect(await b.listing()).toBe(
          [
            `WHITE|192.0.2.7|||${NOW}|0|${NOW + 500}|0|0`,
            `TRAPPED|192.0.2.4|${NOW + 86_400}`,
            `GREY|192.0.2.1|h|<a@b>|<c@d>|${NOW}|${NOW + 14_400}|${NOW + 14_400}|1|0`,
            '',
          ].join('\n'),
        ),
      PATIENCE,
    )
    a.service.announcer.announceHost('192.0.2.7', undefined)
    await vi.waitFor(async () => expect(await b.listing()).not.toContain('WHITE'), PATIENCE)
    expect(b.logged()).toEqual(
      expect.arrayContaining([
        'debug new entry 192.0.2.1 from <a@b> to <c@d>, helo h',
        `debug new TRAP from 127.0.0.2 for 192.0.2.4, expires ${NOW + 86_400}`,
        `debug new WHITE from 127.0.0.2 for 192.0.2.7, expires ${NOW + 500}`,
        'debug deleted 192.0.2.7 as requested by 127.0.0.2',
      ]),
    )
    expect(a.shown().slice(0, 8)).toEqual([
      expect.stringMatching(/^added spam sync host 127\.0\.0\.3 \(address 127\.0\.0\.3, port \d+\)$/),
      'Got Grey HELO h, IP 192.0.2.1 from <a@b> to <c@d>',
      'added  192.0.2.1',
      'h',
      '<a@b>',
      '<c@d>',
      'sync grey update helo h ip 192.0.2.1 from <a@b> to <c@d>',
      'sending sync message to 127.0.0.3 (127.0.0.3)',
    ])
    expect(b.status().received).toMatchObject({ received: 4, refused: {} })
  })
  test('tell of a trap until when it is on record: pinned ones as spamdb -Y does, longer ones as long', async () => {
    const { a, b } = await pair('k')
    const trapped = (ip: string, expire: number) =>
      ({ operation: 'add', kind: 'TRAPPED', ip, options: { expire } }) as const
    const edits: ManualEdit[] = [
      { operation: 'add', kind: 'SPAMTRAP', address: 'trap@d' },
      trapped('192.0.2.4', 0),
      trapped('192.0.2.5', NOW + 1_000_000),
      // Later than a time of 32 bits can say.
      trapped('192.0.2.6', 2 ** 33),
    ]
    await a.keeper.use((store) => store.edit(edits, NOW))
    for (const clientIp of ['192.0.2.4', '192.0.2.5', '192.0.2.6', '192.0.2.7'])
      await a.submit({ clientIp, to: '<trap@d>' })
    const told = () => b.logged().filter((line) => line.includes(' new TRAP '))
    await vi.waitFor(() => expect(told()).toHaveLength(4), PATIENCE)
    expect(told()).toEqual([
      `debug new TRAP from 127.0.0.2 for 192.0.2.4, expires ${2 ** 31 - 1}`,
      `debug new TRAP from 127.0.0.2 for 192.0.2.5, expires ${NOW + 1_000_000}`,
      `debug new TRAP from 127.0.0.2 for 192.0.2.6, expires ${2 ** 31 - 1}`,
      `debug new TRAP from 127.0.0.2 for 192.0.2.7, expires ${NOW + 86_400}`,
    ])
  })
  test('a tuple seen here and its retry seen there makes the host white on both', async () => {
    const { a, b } = await pair('k')
    await a.submit()
    await vi.waitFor(async () => expect(await b.listing()).toContain('GREY'), PATIENCE)
    for (const { clock } of [a, b]) clock.advance(61)
    await a.submit()
    await vi.waitFor(async () => expect(await b.listing()).toContain('WHITE|192.0.2.1|'), PATIENCE)
    expect(await a.listing()).toContain('WHITE|192.0.2.1|')
  })
  test('what came from a peer is not sent on', async () => {
    const { a, b } = await pair('k')
    await a.submit()
    await vi.waitFor(async () => expect(await b.listing()).toContain('GREY'), PATIENCE)
    expect(b.status()).toMatchObject({ sent: undefined })
    expect(a.status().received.received).toBe(0)
  })
  test('with different keys nothing is taken until SIGHUP brings the right one', async () => {
    const { a, b } = await pair('one', 'two')
    a.service.announcer.announceHost('192.0.2.7', WHITE)
    await vi.waitFor(() => expect(b.status().received.refused).toEqual({ hmac: 1 }), PATIENCE)
    b.setKey('one')
    await b.service.reload()
    a.service.announcer.announceHost('192.0.2.8', WHITE)
    await vi.waitFor(
      async () => expect(await b.listing()).toBe(`WHITE|192.0.2.8|||${NOW}|0|${NOW + 500}|0|0\n`),
      PATIENCE,
    )
  })
  test('IPv6 hosts and overlong tuples are counted, not sent', async () => {
    const { a } = await pair('k')
    await a.submit({ clientIp: '2001:db8::1' })
    await a.submit({ helo: 'h'.repeat(700), from: 'f'.repeat(700) })
    expect(a.service.status()).toMatchObject({ sent: { announced: 0, sent: 0, ipv6: 1, tooLong: 1 } })
    expect(a.service.statistics()).toContain('sync_not_sent_ipv6=1')
  })
})

describe('gateways of this suite and others', () => {
  const any = { sync: { version: undefined } }

  test('find one another and speak version 3 alone, IPv6 included', async () => {
    const port = await reservePort()
    const common = { port, key: 'secret\n', ...any }
    const a = await host({ ...common, listen: '127.0.0.2', targets: ['127.0.0.3'] })
    const b = await host({ ...common, listen: '127.0.0.3', targets: ['127.0.0.2'] })
    await vi.waitFor(() => {
      for (const { service } of [a, b]) {
        expect(service.status().state?.peers).toEqual([expect.objectContaining({ isTellingAll: true })])
      }
    }, PATIENCE)
    await a.submit({ clientIp: '2001:db8::9' })
    await vi.waitFor(async () => expect(await b.listing()).toContain('GREY|2001:db8::9|h|'), PATIENCE)
    expect(a.service.status().sent).toMatchObject({ sent: 0 })
    expect(a.service.statistics()).toEqual(
      expect.arrayContaining(['sync_records_sent=1', 'sync_records_merged=0', 'sync_gaps=0']),
    )
    expect(b.service.statistics()).toEqual(
      expect.arrayContaining(['sync_records_sent=0', 'sync_records_merged=1', 'sync_gaps=0']),
    )
    // spamlogd -Y of a gateway that says the same in version 3.
    const sender = createSocket('udp4')
    sender.bind(0, '127.0.0.2')
    const address = { type: 'WHITE', timestamp: NOW, ip: '192.0.2.8', expire: NOW + 500 } as const
    const key = syncKeyOf(Buffer.from('secret\n'))
    sender.send(encodeSyncMessage(1, address, key)!, port, '127.0.0.3')
    await vi.waitFor(() => expect(b.status().received.refused).toEqual({ superseded: 1 }), PATIENCE)
    sender.close()
    expect(await b.listing()).not.toContain('192.0.2.8')
  })

  test('one that speaks version 2 gets that, the heartbeats, and what is taken back by hand', async () => {
    const old = await UdpRecorder.open('127.0.0.4')
    closers.push(async () => old.close())
    const a = await host({ port: old.port, key: 'secret\n', targets: ['127.0.0.4'], ...any })
    // What is told is what changes behind the first look, which sends the first heartbeat.
    await vi.waitFor(() => expect(old.datagrams.some(({ bytes }) => bytes[0] === 3)).toBe(true), PATIENCE)
    await a.submit()
    // Others are told by who makes them: spamlogd, and the commands.
    const seen = [{ ip: '192.0.2.10', count: 1 }]
    const options = { whiteExpireSec: 999, untrap: false }
    await a.keeper.use((store) => store.recordSightings(seen, options, NOW))
    await a.keeper.use((store) => store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.9' }], NOW))
    await a.keeper.use((store) =>
      (store as Store).undo('last', { force: false, isDryRun: false, actor: undefined }, NOW),
    )
    const key = syncKeyOf(Buffer.from('secret\n'))
    await vi.waitFor(() => {
      const entries = old.datagrams
        .filter(({ bytes }) => bytes[0] === 2)
        .flatMap(({ bytes }) => {
          const decoded = decodeSyncMessage(bytes, key)
          return decoded.ok ? decoded.value.entries.map(({ type, ip }) => `${type} ${ip}`) : ['refused']
        })
      expect(entries).toEqual(['GREY 192.0.2.1', 'DELETE-WHITE 192.0.2.9'])
    }, PATIENCE)
    const others = old.datagrams.filter(({ bytes }) => bytes[0] !== 2)
    expect(others.length).toBeGreaterThan(0)
    for (const { bytes } of others) expect([bytes[0], bytes.length]).toEqual([3, 64])
    // It receives nothing, of either version.
    const nothing = ['received', 'applied', 'ignored', 'dropped'].map((name) => `sync_${name}=0`)
    expect(a.service.statistics()).toEqual(expect.arrayContaining(['sync_sent=2', ...nothing]))
  })

  test('without a key nobody speaks version 3', async () => {
    const port = await reservePort()
    const a = await host({ port, listen: '127.0.0.2', targets: ['127.0.0.3'], ...any })
    expect(a.service.status().state).toBeUndefined()
  })
})

describe('a hostile network', () => {
  async function sendTo(port: number, ...datagrams: Uint8Array[]): Promise<void> {
    const socket = createSocket('udp4')
    for (const datagram of datagrams) {
      await new Promise((resolve) => socket.send(datagram, port, '127.0.0.3', resolve))
    }
    socket.close()
  }
  const key = syncKeyOf(Buffer.from('k'))
  const white = (counter: number, timestamp = NOW, ip = '192.0.2.7') =>
    encodeSyncMessage(counter, { type: 'WHITE', timestamp, ip, expire: NOW + 500 }, key)!

  test('repeats, wrong clocks, cut and overlong messages change nothing', async () => {
    const port = await reservePort()
    const b = await host({ port, listen: '127.0.0.3', key: 'k' })
    const good = white(0)
    await sendTo(
      port,
      good,
      good,
      white(1, NOW + 9000, '192.0.2.8'),
      good.subarray(0, 40),
      Buffer.alloc(2000, good),
      Buffer.alloc(0),
    )
    await vi.waitFor(
      () =>
        expect(b.status().received.refused).toEqual({
          repeated: 1,
          clock: 1,
          truncated: 1,
          'too long': 1,
          empty: 1,
        }),
      PATIENCE,
    )
    await vi.waitFor(
      async () => expect(await b.listing()).toBe(`WHITE|192.0.2.7|||${NOW}|0|${NOW + 500}|0|0\n`),
      PATIENCE,
    )
  })
  test('one bad entry refuses the good ones before it', async () => {
    const port = await reservePort()
    const b = await host({ port, listen: '127.0.0.3', key: 'k' })
    const { createHmac } = await import('node:crypto')
    const mixed = Buffer.concat([white(0).subarray(0, 48), Buffer.from('00090004', 'hex')])
    mixed.writeUInt16BE(mixed.length, 2)
    mixed.fill(0, 8, 28)
    createHmac('sha1', key).update(mixed).digest().copy(mixed, 8)
    expect(decodeSyncMessage(mixed, key)).toMatchObject({ reason: 'entry type' })
    await sendTo(port, mixed)
    await vi.waitFor(() => expect(b.shown()).toContain('invalid type: 9'), PATIENCE)
    expect(await b.listing()).toBe('')
  })
  test('only --sync-peers may send', async () => {
    const port = await reservePort()
    const b = await host({ port, listen: '127.0.0.3', key: 'k', sync: { peers: ['192.0.2.0/24'] } })
    await sendTo(port, white(0))
    await vi.waitFor(() => expect(b.status().received.refused).toEqual({ stranger: 1 }), PATIENCE)
  })
})

describe('the key at start', () => {
  test('without one it warns once and works', async () => {
    const { a, b } = await pair()
    a.service.announcer.announceHost('192.0.2.7', WHITE)
    await vi.waitFor(async () => expect(await b.listing()).toContain('WHITE'), PATIENCE)
    expect(a.logged()).toEqual([`warning no synchronisation key in ${a.keyPath}: anyone can forge messages`])
  })
  test('one that cannot be read is told by its code: the daemon may go on, unless it is required', async () => {
    const port = await reservePort()
    const unreadable = { port, listen: '127.0.0.2', keyIsFolder: true }
    await expect(host(unreadable)).rejects.toMatchObject({ code: 'ERR_SYNC_KEY' })
    const required = { port, listen: '127.0.0.2', sync: { requiresKey: true } }
    await expect(host({ ...required, keyIsFolder: true })).rejects.toMatchObject({ code: 'ERR_SYNC_INIT' })
  })
  test('with --require-sync-key there is no start without one', async () => {
    const port = await reservePort()
    const required = { port, listen: '127.0.0.2', sync: { requiresKey: true } }
    await expect(host(required)).rejects.toMatchObject({
      code: 'ERR_SYNC_INIT',
      message: expect.stringMatching(/^sync init: no synchronisation key in \//),
      hint: 'create one with "spamdctl sync-key"; every gateway needs the same file',
    })
    await host({ ...required, key: 'k' })
  })
  test('one that every user can read is warned about', async () => {
    const port = await reservePort()
    const first = await host({ port, listen: '127.0.0.3', key: 'k' })
    chmodSync(first.keyPath, 0o644)
    await first.service.stop()
    await first.service.start()
    expect(first.logged()).toEqual([
      `warning the synchronisation key ${first.keyPath} can be read by every user: chmod o= ${first.keyPath}`,
    ])
  })
})

test('with -b what is received is checked and dropped', async () => {
  const port = await reservePort()
  const b = await host({ port, listen: '127.0.0.3', key: 'k', isBlackOnly: true })
  const a = await host({ port, listen: '127.0.0.2', targets: ['127.0.0.3'], key: 'k' })
  a.service.announcer.announceHost('192.0.2.7', WHITE)
  await vi.waitFor(
    () =>
      expect(b.shown()).toEqual([
        '127.0.0.2(sync): received packet of 52 bytes',
        '127.0.0.2(sync): received white entry ip 192.0.2.7',
      ]),
    PATIENCE,
  )
  expect(await b.listing()).toBe('')
  expect(b.status()).toMatchObject({ received: { accepted: 1 }, entries: undefined })
})

test('an address that is not of this machine is refused at start', async () => {
  await expect(host({ port: 1, listen: '192.0.2.99' })).rejects.toThrow(/^sync init: /)
})

describe('gateways that share a database on a server', () => {
  test('tell a peer outside what came to each of them, once, and speak version 2 alone', async () => {
    const port = await reservePort()
    const outside = await host({ port, listen: '127.0.0.3', key: 'secret\n' })
    const members = await Promise.all(
      ['127.0.0.4', '127.0.0.5'].map((listen) =>
        host({
          port,
          listen,
          targets: ['127.0.0.3'],
          key: 'secret\n',
          isOnServer: true,
          sync: { version: undefined as never },
        }),
      ),
    )
    await members[0]!.submit({ clientIp: '192.0.2.1' })
    await members[1]!.submit({ clientIp: '192.0.2.2' })
    await vi.waitFor(async () => {
      const lines = (await outside.listing()).split('\n').filter(Boolean)
      expect(lines.map((line) => line.replace(/\|.*\|/, ' '))).toEqual(['GREY 0', 'GREY 0'])
      expect(lines.every((line) => line.endsWith('|1|0'))).toBe(true)
    }, PATIENCE)
    for (const member of members) expect(member.service.status().state).toBeUndefined()
    expect(outside.status().received.received).toBe(2)
  })

  test('refuse version 3 by name', async () => {
    const port = await reservePort()
    await expect(
      host({ port, listen: '127.0.0.6', key: 'secret\n', isOnServer: true, sync: { version: 3 } }),
    ).rejects.toMatchObject({
      code: 'ERR_SYNC_INIT',
      message: 'sync init: version 3 needs a database that no other gateway uses',
    })
  })
})
