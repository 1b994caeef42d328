/** What a running spamd tells Prometheus. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { askDaemon } from '../../../src/app/ask-daemon.js'
import { parseSpamdOptions } from '../../../src/cli/spamd/parse-spamd-options.js'
import { formatMetrics, type MetricFamily } from '../../../src/codec/metrics-text.js'
import { openStore } from '../../../src/db/open-store.js'
import { EMPTY_SET } from '../../../src/ip/ip-range-set.js'
import { setOfPrefixes } from '../../../src/ip/prefix-ranges.js'
import { AppError } from '../../../src/platform/app-error.js'
import { ManualClock } from '../../support/manual-clock.js'
import { NO_PROMTOOL, runPromtool } from '../../support/promtool.js'
import { TestClient } from '../../support/spamd/test-client.js'
import { createTestDaemon, daemonEnvironment, type TestDaemon } from '../../support/spamd/test-daemon.js'
import { waitFor } from '../../support/spamd/wait-for.js'

let folder: string
let clock: ManualClock
let daemon: TestDaemon

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spamd-metrics-'))
  clock = new ManualClock()
})
afterEach(async () => {
  await daemon.service.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function start(argv: string[], more: Parameters<typeof createTestDaemon>[2] = {}): Promise<void> {
  const parsed = parseSpamdOptions(argv, {
    hostname: 'mx.example',
    maxFiles: undefined,
    environment: daemonEnvironment(folder),
  })
  if (!parsed.ok) throw new Error(parsed.stderr)
  parsed.config.settings.syncPort = 0
  daemon = createTestDaemon(parsed.config, clock, more)
  await daemon.service.start()
  await daemon.service.filled()
}

async function sendTo(recipient: string, localAddress: string): Promise<void> {
  const client = await TestClient.open({ host: '127.0.0.1', port: daemon.resources.smtpPort, localAddress })
  client.send(`HELO a.example\r\nMAIL FROM:<a@sender.example>\r\nRCPT TO:<${recipient}>\r\nDATA\r\n`)
  await waitFor(
    () => client.received.includes('451 ') || client.received.includes('354 '),
    () => `an answer in ${client.received}`,
  )
  client.close()
}

async function values(): Promise<Map<string, number>> {
  const text = formatMetrics((await askDaemon(join(folder, 'control.sock'), 'metrics')) as MetricFamily[])
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

function serve(path: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    request({ socketPath: join(folder, 'metrics.sock'), path, agent: false }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      response.on('end', () => resolve({ status: response.statusCode!, text }))
    })
      .on('error', reject)
      .end()
  })
}

const oneHost = (address: number) =>
  setOfPrefixes(
    { count: 1, words: new Uint32Array([address]), prefixLengths: new Uint8Array([32]) },
    { count: 0, words: new Uint32Array(0), prefixLengths: new Uint8Array(0) },
  )

describe('counters', () => {
  test('follow a tuple from its first attempt to WHITE, with the delay of its retry', async () => {
    await start(['-s', '0', '-S', '0'])
    expect((await values()).get('spamd_entries{kind="GREY"}')).toBe(0)
    await sendTo('user@here.example', '127.0.0.2')
    await sendTo('user@here.example', '127.0.0.2')
    clock.advance(1_600)
    await sendTo('user@here.example', '127.0.0.2')
    await sendTo('user@here.example', '127.0.0.3')
    await daemon.service.scanner!.scan()
    const found = await values()
    for (const [name, value] of [
      ['spamd_tuples_total{result="new"}', 2],
      ['spamd_tuples_total{result="repeated"}', 1],
      ['spamd_tuples_total{result="promoted"}', 1],
      ['spamd_retry_delay_seconds_bucket{le="1500"}', 0],
      ['spamd_retry_delay_seconds_bucket{le="1800"}', 1],
      ['spamd_retry_delay_seconds_sum', 1_600],
      ['spamd_entries{kind="GREY"}', 1],
      ['spamd_entries{kind="WHITE"}', 1],
      ['spamd_table_entries{table="spamd-white"}', 1],
      ['spamd_table_in_step{table="spamd-white"}', 1],
      ['spamd_smtp_connections_accepted_total{class="grey"}', 4],
      ['spamd_expiry_lag_seconds', 0],
      ['spamd_store_up', 1],
      ['spamd_ready', 1],
      ['spamd_tarpit_bytes_total', 0],
    ] as const) {
      expect([name, found.get(name)]).toEqual([name, value])
    }
  })

  test('tell who was stuttered, for how long, and which list caught whom', async () => {
    await start(['-s', '1', '-S', '0'], {
      loadSavedLists: async () => [{ name: 'bl', message: 'm', set: oneHost(0x7f000005), entryCount: 1 }],
      tickMs: 1,
    })
    const client = await TestClient.open({
      host: '127.0.0.1',
      port: daemon.resources.smtpPort,
      localAddress: '127.0.0.5',
    })
    await waitFor(
      () => {
        clock.advance(1)
        return client.received.length >= 4
      },
      () => '4 bytes',
    )
    client.close()
    const ended = 'spamd_smtp_dialogue_seconds_count{class="black"}'
    await waitFor(
      () => {
        clock.advance(1)
        return daemon.service.smtp.counts.total === 0
      },
      () => 'the end of the dialogue',
    )
    const found = await values()
    expect(found.get(ended)).toBe(1)
    expect(found.get('spamd_blocklist_hits_total{list="bl"}')).toBe(1)
    expect(found.get('spamd_blocklist_entries{list="bl"}')).toBe(1)
    const bytes = found.get('spamd_tarpit_bytes_total')!
    expect(bytes).toBeGreaterThanOrEqual(4)
    expect(found.get('spamd_tarpit_seconds_total')).toBe(bytes)
    expect(found.get('spamd_smtp_dialogue_seconds_sum{class="black"}')).toBeGreaterThanOrEqual(4)
    // The same outlives the daemon, in the counters of the hours.
    await daemon.service.stop()
    const store = await openStore(join(folder, 'db'), { mode: 'read' })
    const counts = await store.readCounts(0)
    await store.close()
    expect(counts.map(({ name, label, count }) => [name, label, count])).toEqual([
      ['listed', 'bl', 1],
      ['tarpit-seconds', 'bl', bytes],
    ])
  })

  test('of more lists than have a label go into one', async () => {
    await start(['-b'], {
      loadSavedLists: async () =>
        Array.from({ length: 205 }, (_, at) => ({
          name: at === 0 ? '\xff"\\\n' : `list${at}`,
          message: 'm',
          set: EMPTY_SET,
          entryCount: 2,
        })),
    })
    const found = await values()
    expect(found.get('spamd_blocklists')).toBe(205)
    expect(found.get('spamd_blocklist_entries{list="list199"}')).toBe(2)
    expect(found.get('spamd_blocklist_entries{list="list200"}')).toBeUndefined()
    expect(found.get('spamd_blocklist_entries{list="other"}')).toBe(10)
  })

  test.skipIf(NO_PROMTOOL !== '')(
    `satisfy promtool, with and without synchronisation${NO_PROMTOOL}`,
    async () => {
      for (const argv of [['-4'], ['-y', '127.0.0.1', '-Y', '127.0.0.1'], ['-b']]) {
        await start([...argv, '--no-sync-replay-check'])
        const families = (await askDaemon(join(folder, 'control.sock'), 'metrics')) as MetricFamily[]
        expect(runPromtool(['check', 'metrics'], formatMetrics(families))).toEqual({ status: 0, output: '' })
        await daemon.service.stop()
      }
    },
  )

  test('cost little CPU, and never ask the database', async () => {
    await start(['-s', '0', '-S', '0'])
    const path = join(folder, 'control.sock')
    await askDaemon(path, 'metrics')
    const before = process.cpuUsage()
    for (let count = 0; count < 100; count += 1) {
      formatMetrics((await askDaemon(path, 'metrics')) as MetricFamily[])
    }
    const { user, system } = process.cpuUsage(before)
    expect((user + system) / 1000 / 100).toBeLessThan(5)
    expect(daemon.service.greylister!.writes.batches).toBe(0)
  })

  test('hold no address, sender or recipient', async () => {
    await start(['-s', '0', '-S', '0'])
    await sendTo('user@here.example', '127.0.0.2')
    const text = JSON.stringify(await askDaemon(join(folder, 'control.sock'), 'metrics'))
    expect(text).not.toMatch(/127\.0\.0|here\.example|sender\.example|a\.example/)
  })
})

describe('--metrics', () => {
  test('serves the same by HTTP, ready only while the database can be written', async () => {
    await start(['-s', '0', '-S', '0', '--metrics', `unix:${join(folder, 'metrics.sock')}`])
    expect(await serve('/readyz')).toEqual({ status: 200, text: 'ready\n' })
    expect((await serve('/metrics')).text).toMatch(/^spamd_ready 1$/m)
    clock.advance(1_000)
    expect(await serve('/readyz')).toEqual({
      status: 503,
      text: 'not ready: the last complete scan of the database is too old\n',
    })
    daemon.firewall.failure = new AppError('ERR_FIREWALL_FAILED', 'pfctl: refused')
    await sendTo('user@here.example', '127.0.0.2')
    clock.advance(1_600)
    await sendTo('user@here.example', '127.0.0.2')
    await daemon.service.scanner!.scan()
    expect((await serve('/readyz')).text).toBe(
      'not ready: the packet filter did not accept the table spamd-white\n',
    )
    expect(await serve('/healthz')).toEqual({ status: 200, text: 'ok\n' })
    await daemon.service.stop()
    await expect(serve('/healthz')).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('that cannot be served stops no mail', async () => {
    writeFileSync(join(folder, 'file'), '')
    await start(['-s', '0', '-S', '0', '--metrics', `unix:${join(folder, 'file')}`])
    expect(daemon.logger.lines.map(({ message }) => message).join('\n')).toContain(
      `running without metrics: --metrics unix:${join(folder, 'file')}: cannot listen on`,
    )
    await sendTo('user@here.example', '127.0.0.2')
  })
})
