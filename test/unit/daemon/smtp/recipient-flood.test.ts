/**
 * The attack: one network keeps as many connections as it gets busy with recipients, as fast as it can. Other clients'
 * tuples are stored all the same, and a tuple that was answered with 451 outlives a daemon that is killed then.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { GreylisterCounters } from '../../../../src/daemon/grey/greylister-counters.js'
import type { SmtpCounters } from '../../../../src/daemon/smtp/connection-parts.js'
import { openStore } from '../../../../src/db/open-store.js'
import { PATIENCE } from '../../../support/patience.js'

const DAEMON = fileURLToPath(new URL('../../../support/spamd/daemon-process.ts', import.meta.url))

/**
 * Holds hundreds of connections; each sends recipients without reading a reply and comes again when it is closed. The
 * sources are addresses of one network, told in PROXY headers. Ends with its parent.
 */
const FLOODER = `
const { connect } = require('net')
const [port, family, prefix] = process.argv.slice(1)
let count = 0
let connected = 0
process.stdin.resume().on('end', () => process.exit())
const attack = () => {
  count += 1
  const source = prefix + (family === 'TCP4' ? count % 256 : (count % 65535).toString(16))
  const own = family === 'TCP4' ? '198.51.100.1' : '2001:db8:ffff::1'
  const socket = connect(Number(port), '127.0.0.1', () => {
    connected += 1
    if (connected === 600) process.stdout.write('flooding')
    socket.write('PROXY ' + family + ' ' + source + ' ' + own + ' 1000 25\\r\\nHELO h\\r\\nMAIL FROM:<a@b>\\r\\n')
    let text = ''
    for (let index = 0; index < 120; index += 1) text += 'RCPT TO:<' + count + '.' + index + '@flood>\\r\\n'
    socket.write(text + 'DATA\\r\\n')
  })
  socket.resume()
  socket.on('error', () => undefined)
  socket.on('close', () => setImmediate(attack))
}
for (let index = 0; index < 500; index += 1) attack()
`

let folder: string
let children: ChildProcess[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'recipient-flood-'))
  children = []
})
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

/** One mail attempt; resolves with all that was read. */
async function mail(port: number, sourceIp: string, recipient: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  const lines = ['HELO good', 'MAIL FROM:<a@good>', `RCPT TO:<${recipient}>`, 'DATA']
  let received = ''
  socket.on('connect', () => socket.write(`PROXY TCP4 ${sourceIp} 198.51.100.1 1000 25\r\n`))
  socket.on('data', (chunk) => {
    received += chunk.toString()
    const line = lines.shift()
    if (line !== undefined) socket.write(`${line}\r\n`)
  })
  socket.on('error', () => undefined)
  await once(socket, 'close')
  return received
}

test.each([
  ['a /24', 'TCP4', '203.0.113.'],
  ['a /64', 'TCP6', '2001:db8:f:1::'],
])('a flood of recipients from %s pushes out nobody else', async (_name, family, prefix) => {
  const options = ['-s', '0', '-S', '0', '--proxy-protocol', '127.0.0.1/32', '--max-tuples', '10000000']
  const argument = JSON.stringify({ folder, options })
  const daemon = spawn(process.execPath, ['--import', 'tsx', DAEMON, argument], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.push(daemon)
  const output = createInterface({ input: daemon.stdout })[Symbol.asyncIterator]()
  const port = Number((await output.next()).value)
  const flooder = spawn(process.execPath, ['-e', FLOODER, String(port), family, prefix], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.push(flooder)
  await once(flooder.stdout, 'data')

  const answered: string[] = []
  const waiting = Array.from({ length: 100 }, (_, index) => index)
  const sendAll = async (): Promise<void> => {
    for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) {
      const recipient = `${index}@good`
      const received = await mail(port, `198.18.${index}.25`, recipient)
      if (received.includes('\r\n451 ')) answered.push(`<${recipient}>`)
    }
  }
  await Promise.all(Array.from({ length: 10 }, sendAll))
  // On a fast machine the others are through before the flood has grown: it goes on until it was one.
  const { smtp, grey } = await vi.waitFor(async () => {
    daemon.stdin.write('report')
    const report = JSON.parse((await output.next()).value as string) as {
      smtp: SmtpCounters
      grey: GreylisterCounters
    }
    expect(report.grey.recorded).toBeGreaterThan(5_000)
    return report
  }, PATIENCE)
  daemon.kill('SIGKILL')
  await once(daemon, 'exit')

  expect(smtp.refusedPerIp + smtp.refusedPerNetwork).toBeGreaterThan(0)
  expect(grey.dropped).toBe(0)
  expect(answered.length).toBeGreaterThanOrEqual(99)
  const store = await openStore(join(folder, 'db'), { mode: 'read' })
  const stored = new Set<string>()
  for await (const entries of store.list({ kinds: ['GREY'], to: '@good' })) {
    for (const entry of entries) if (entry.kind === 'GREY') stored.add(entry.to)
  }
  await store.close()
  expect(stored.size).toBeGreaterThanOrEqual(99)
  // What was promised may be missing only where the log tells it.
  expect(answered.filter((to) => !stored.has(to)).length).toBeLessThanOrEqual(grey.unstored)
})
