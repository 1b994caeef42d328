/** No client waits for a DNS that is dead: the time from RCPT to 451, beside that of a spamd that asks nothing. */
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TestDnsServer } from '../../../support/dns-server.js'
import { type DaemonProcess, startDaemonProcess } from '../../../support/spamd/forked-daemon.js'

const SAMPLES = 300
/** A machine that is busy with something else spoils a round; whatever spamd does itself is in all of them. */
const ROUNDS = 6
/** Less than an event loop that is blocked for 20 ms, and than one try at a name server, 800 ms; and blocks of 15 ms. */
const MOST_MORE = { half: 5, p99: 15, longest: 600, blocks: 1 }

let folder: string
let dns: TestDnsServer
let daemons: DaemonProcess[] = []
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spamd-dead-dns-'))
  dns = new TestDnsServer({})
  await dns.start()
  dns.isDead = true
})
afterEach(async () => {
  for (const daemon of daemons) await daemon.stop()
  daemons = []
  dns.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** Milliseconds from RCPT to 451. Each client is of a network of its own, so that each is checked. */
function timeAttempt(port: number, number: number): Promise<number> {
  const ip = `127.60.${number & 255}.${1 + (number >> 8)}`
  const commands = [
    `HELO mx${number}.example.org\r\n`,
    `MAIL FROM:<a@d${number}.example.org>\r\n`,
    `RCPT TO:<u@example.net>\r\n`,
    'DATA\r\n',
  ]
  return new Promise((resolve, reject) => {
    let step = 0
    let sentMs = 0
    let tookMs: number | undefined
    const socket = connect({ port, host: '127.0.0.1', localAddress: ip })
    socket.on('data', (reply: Buffer) => {
      if (reply.toString('latin1').startsWith('451')) tookMs = performance.now() - sentMs
      if (step === 2) sentMs = performance.now()
      const command = commands[step]
      step += 1
      if (command !== undefined) socket.write(command)
    })
    socket.on('error', reject)
    socket.on('close', () => (tookMs === undefined ? reject(new Error('no 451')) : resolve(tookMs)))
  })
}

interface Times {
  half: number
  p99: number
  longest: number
  blocks: number
}

function timesOf(samples: readonly number[], blocks: number): Times {
  const sorted = samples.toSorted((one, other) => one - other)
  const at = (part: number): number => sorted[Math.floor((sorted.length - 1) * part)]!
  return { half: at(0.5), p99: at(0.99), longest: at(1), blocks }
}

/** Two fresh daemons, in turns, so that a busy machine is busy for both. */
async function measure(round: number): Promise<{ dead: Times; plain: Times }> {
  const start = async (name: string, words: readonly string[]): Promise<DaemonProcess> => {
    const daemon = await startDaemonProcess(mkdtempSync(join(folder, `${name}${round}-`)), [
      ...['-G', '60s:4h:36d', '-s', '0', '-S', '0', '--dns-server', dns.place],
      ...words,
    ])
    daemons.push(daemon)
    return daemon
  }
  const dead = await start('dead', [
    ...['--grey-spf', 'all', '--dnswl', 'good.example', '--dnsbl', 'bad.example'],
    ...['--grey-prefix4', '24'],
  ])
  const plain = await start('plain', ['--grey-prefix4', '24'])
  const before = { dead: await dead.blocks(), plain: await plain.blocks() }
  const samples = { dead: [] as number[], plain: [] as number[] }
  for (let number = 0; number < SAMPLES; number += 1) {
    samples.dead.push(await timeAttempt(dead.port, number))
    samples.plain.push(await timeAttempt(plain.port, number))
  }
  expect(await dead.openChecks()).toBeGreaterThan(0)
  expect(await plain.openChecks()).toBe(0)
  const blocks = {
    dead: (await dead.blocks()) - before.dead,
    plain: (await plain.blocks()) - before.plain,
  }
  for (const daemon of daemons.splice(0)) await daemon.stop()
  return { dead: timesOf(samples.dead, blocks.dead), plain: timesOf(samples.plain, blocks.plain) }
}

test('from RCPT to 451 it takes as long as without checks, at the 99th percentile too', async () => {
  const tooLate: string[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const { dead, plain } = await measure(round)
    const late = (['half', 'p99', 'longest', 'blocks'] as const).filter(
      (name) => dead[name] - plain[name] > MOST_MORE[name],
    )
    if (late.length === 0) return
    tooLate.push(`${late.join(', ')}: ${JSON.stringify({ dead, plain })}`)
  }
  expect(tooLate).toEqual([])
}, 600_000)
