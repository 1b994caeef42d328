/** The daemon put together: start, reload, status, stop. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { askDaemon } from '../../../src/app/ask-daemon.js'
import { parseSpamdOptions } from '../../../src/cli/spamd/parse-spamd-options.js'
import { renderConnections } from '../../../src/cli/spamd/render-connections.js'
import { setOfPrefixes } from '../../../src/ip/prefix-ranges.js'
import { ManualClock } from '../../support/manual-clock.js'
import { reservePort } from '../../support/reserve-port.js'
import { TestClient } from '../../support/spamd/test-client.js'
import { createTestDaemon, daemonEnvironment, type TestDaemon } from '../../support/spamd/test-daemon.js'
import { waitFor } from '../../support/spamd/wait-for.js'

const FIXTURES = new URL('../../support/', import.meta.url).pathname
let folder: string
let daemon: TestDaemon

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spamd-service-'))
})
afterEach(async () => {
  await daemon.service.stop()
  rmSync(folder, { recursive: true, force: true })
})

function build(argv: string[], more: Parameters<typeof createTestDaemon>[2] = {}): TestDaemon {
  const parsed = parseSpamdOptions(['-s', '0', '-S', '0', '-v', ...argv], {
    hostname: 'mx.example',
    maxFiles: undefined,
    environment: daemonEnvironment(folder),
  })
  if (!parsed.ok) throw new Error(parsed.stderr)
  daemon = createTestDaemon(parsed.config, new ManualClock(), more)
  return daemon
}

const connect = (localAddress = '127.0.0.1'): Promise<TestClient> =>
  TestClient.open({ host: '127.0.0.1', port: daemon.resources.smtpPort, localAddress })
const hears = (client: TestClient, text: string): Promise<void> =>
  waitFor(
    () => client.received.includes(text),
    () => `${text} in ${client.received}`,
  )
const messages = (): string[] => daemon.logger.lines.map(({ level, message }) => `${level} ${message}`)

async function sendTo(recipient: string, localAddress: string): Promise<void> {
  const client = await connect(localAddress)
  client.send(`HELO a.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<${recipient}>\r\nDATA\r\n`)
  await hears(client, '451 ')
  client.close()
}

describe('start', () => {
  test('fails whole when the database is none, and says what the original says', async () => {
    writeFileSync(join(folder, 'db'), 'no database\n'.repeat(500))
    build([])
    await expect(daemon.service.start()).rejects.toThrow(`open of ${join(folder, 'db')} failed (`)
    expect(messages()[0]).toMatch(/^err open of .*\/db failed \(.*\)$/)
    expect(readFileSync(join(folder, 'db'), 'latin1')).toContain('no database')
  })

  test('fails on a certificate that does not fit its key', async () => {
    writeFileSync(join(folder, 'key'), 'no key')
    build(['-C', join(FIXTURES, 'localhost.crt'), '-K', join(folder, 'key')])
    await expect(daemon.service.start()).rejects.toMatchObject({
      message: expect.stringMatching(/^failed to configure TLS - /) as string,
      hint: expect.stringContaining('-C needs a certificate and -K its key') as string,
    })
  })

  test('goes on without the control socket, with a warning', async () => {
    writeFileSync(join(folder, 'control.sock'), 'a file')
    build([])
    await daemon.service.start()
    expect(messages().join('\n')).toContain(
      'exists and is not a socket: setup and status commands cannot reach this daemon',
    )
    await hears(await connect(), '220 ')
  })

  test('fails without the control socket that was asked for', async () => {
    const path = join(folder, 'asked.sock')
    writeFileSync(path, 'a file')
    build(['--config-socket', path])
    await expect(daemon.service.start()).rejects.toMatchObject({
      message: `cannot listen on ${path}: exists and is not a socket`,
    })
    expect(readFileSync(path, 'latin1')).toBe('a file')
  })

  test('goes on without synchronisation when the key cannot be read: mail comes first', async () => {
    mkdirSync(join(folder, 'spamd.key'))
    build(['-Y', '127.0.0.1', '--sync-port', String(await reservePort())])
    await daemon.service.start()
    expect(messages()).toContainEqual(
      expect.stringMatching(/^err running without synchronisation: .*Is a directory/),
    )
    await sendTo('user@b', '127.0.0.1')
  })

  test('has the saved lists before the first client, and goes on when they cannot be read', async () => {
    const words = new Uint32Array([0x7f050000])
    const set = setOfPrefixes(
      { count: 1, words, prefixLengths: new Uint8Array([16]) },
      { count: 0, words: new Uint32Array(0), prefixLengths: new Uint8Array(0) },
    )
    build([], { loadSavedLists: async () => [{ name: 'saved', message: 'm', set, entryCount: 1 }] })
    await daemon.service.start()
    await hears(await connect('127.5.1.1'), '220 ')
    expect(messages()).toContain('info 127.5.1.1: connected (1/1), lists: saved')
    await daemon.service.stop()
    build([], { loadSavedLists: () => Promise.reject(new Error('unreadable')) })
    await daemon.service.start()
    expect(messages()).toContain('err cannot load the saved block lists: unreadable')
  })

  test('-b touches neither database nor table', async () => {
    build(['-b'])
    await daemon.service.start()
    const client = await connect()
    client.send('HELO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\n')
    await hears(client, '354 Enter spam')
    await hears(client, '451 ')
    expect(() => readFileSync(join(folder, 'db'))).toThrow('ENOENT')
    expect(daemon.firewall.tables.size).toBe(0)
  })
})

describe('reload', () => {
  test('takes new allowed domains, and keeps the old ones when the file is bad', async () => {
    build([])
    await daemon.service.start()
    await sendTo('user@elsewhere.example', '127.0.0.2')
    expect(daemon.service.greylister!.counters.trapped).toBe(0)
    writeFileSync(join(folder, 'alloweddomains'), '@here.example\n')
    await daemon.service.reload()
    await sendTo('user@elsewhere.example', '127.0.0.3')
    expect(daemon.service.greylister!.counters.trapped).toBe(1)
    expect(messages()).toContain('info got suffix @here.example')
    writeFileSync(join(folder, 'alloweddomains'), `${'x'.repeat(2000)}\n`)
    await daemon.service.reload()
    expect(messages().join('\n')).toMatch(/err line too long in .*alloweddomains - file ignored/)
    await sendTo('user@elsewhere.example', '127.0.0.4')
    expect(daemon.service.greylister!.counters.trapped).toBe(2)
  })

  test('takes a new certificate, and keeps the old one when it is bad', async () => {
    const [certificate, key] = [join(folder, 'crt'), join(folder, 'key')]
    writeFileSync(certificate, readFileSync(join(FIXTURES, 'localhost.crt')))
    writeFileSync(key, readFileSync(join(FIXTURES, 'localhost.key')))
    build(['-C', certificate, '-K', key])
    await daemon.service.start()
    writeFileSync(key, 'no key')
    await daemon.service.reload()
    expect(messages().join('\n')).toContain('err reload of certificate failed: failed to configure TLS - ')
    const client = await connect()
    client.send('EHLO a\r\n')
    await hears(client, '250 STARTTLS')
    client.send('STARTTLS\r\n')
    await hears(client, '220 glad')
    expect(await client.startTls()).toMatch(/^TLS/)
  })
})

describe('status', () => {
  test('the Unix socket tells of connections and counters', async () => {
    build([])
    await daemon.service.start()
    const client = await connect('127.0.0.9')
    await hears(client, '220 ')
    const path = join(folder, 'control.sock')
    const { connections } = await askDaemon(path, 'connections')
    expect(connections).toEqual([
      expect.objectContaining({
        ip: '127.0.0.9',
        class: 'GREY',
        state: 'helo',
        lists: [],
        tls: false,
        stutterSec: 0,
      }),
    ])
    expect(renderConnections(connections)).toMatch(
      /^address +port +class +state .*\n127\.0\.0\.9 +\d+ +GREY +helo /,
    )
    expect(await askDaemon(path, 'stats')).toMatchObject({
      connections: { total: 1, black: 0 },
      smtp: { accepted: 1 },
    })
    expect(await askDaemon(path, 'status')).toMatchObject({
      mode: 'greylisting',
      listen: [{ address: '127.0.0.1', port: daemon.resources.smtpPort }],
      database: join(folder, 'db'),
      lists: expect.any(Array),
    })
    await expect(askDaemon(path, 'sync-status')).rejects.toThrow('spamd runs without -Y and -y')
    await expect(askDaemon(join(folder, 'none'), 'stats')).rejects.toMatchObject({ code: 'ERR_DAEMON_GONE' })
  })

  test('every counter of a fresh daemon is 0', async () => {
    const path = join(folder, 'control.sock')
    build(['--config-socket', path])
    await daemon.service.start()
    const { smtp, greylister } = await askDaemon(path, 'stats')
    const counted = Object.entries({ ...smtp, ...greylister }).filter(([, count]) => count !== 0)
    expect(counted).toEqual([])
    const { dialogues, scanner } = { ...daemon.service.smtp, scanner: daemon.service.scanner }
    expect(dialogues).toMatchObject({
      endedCount: { black: 0, other: 0 },
      endedMs: { black: 0, other: 0 },
      stutterMs: 0,
      stutteredBytes: 0,
    })
    await daemon.service.filled()
    expect(scanner?.counters).toMatchObject({ scans: 1, incomplete: 0, deleted: 0, promoted: 0 })
  })

  test('SIGUSR1 logs one line', async () => {
    build([])
    await daemon.service.start()
    daemon.service.logStatistics()
    expect(messages().at(-1)).toMatch(
      /^info statistics connections=0 black=0 accepted=0 .*submitted=0 .*rss_kib=\d+$/,
    )
  })
})

test('a stop ends all connections, logs them and writes what waits', async () => {
  build([])
  await daemon.service.start()
  const client = await connect()
  client.send('HELO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n')
  await hears(client, '250 This is hurting')
  const startedMs = performance.now()
  await daemon.service.stop()
  expect(performance.now() - startedMs).toBeLessThan(5000)
  await waitFor(
    () => client.hasEnded,
    () => 'the end of the connection',
  )
  expect(messages().join('\n')).toContain('127.0.0.1: disconnected after 0 seconds.')
  expect(daemon.service.greylister!.counters.recorded).toBe(1)
})
