import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { parseSpamdOptions } from '../../../../src/cli/spamd/parse-spamd-options.js'
import { encodeSyncMessage, syncKeyOf } from '../../../../src/codec/sync-message.js'
import { createDatabase, openStore } from '../../../../src/db/open-store.js'
import { systemClock } from '../../../../src/platform/clock.js'
import { PATIENCE } from '../../../support/patience.js'
import { reservePort } from '../../../support/reserve-port.js'
import { createTestDaemon, daemonEnvironment } from '../../../support/spamd/test-daemon.js'

/** Sends forged datagrams as fast as one process can, until it is killed or its parent has ended. */
const FLOOD = `
const socket = require('dgram').createSocket('udp4')
const forged = Buffer.from(process.argv[2], 'hex')
process.stdin.resume().on('end', () => process.exit())
let count = 0
const more = () => {
  for (let burst = 0; burst < 64; burst += 1) {
    count += 1
    forged.writeUInt32BE(count, 4)
    socket.send(forged, Number(process.argv[1]), '127.0.0.1')
  }
  if (count === 640) process.stdout.write('flooding')
  setImmediate(more)
}
more()`

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sync-flood-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** One mail attempt; resolves when the daemon has said goodbye. */
async function mail(port: number, recipient: string): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  const lines = ['HELO h', 'MAIL FROM:<a@b>', `RCPT TO:<${recipient}>`, 'QUIT']
  socket.on('data', () => {
    const line = lines.shift()
    if (line !== undefined) socket.write(`${line}\r\n`)
  })
  await once(socket, 'close')
}

test('a flood of forged messages keeps neither clients nor peers from being served', async () => {
  const syncPort = await reservePort()
  const parsed = parseSpamdOptions(['-y', '127.0.0.1', '-s', '0', '-S', '0'], {
    hostname: 'mx.example.test',
    maxFiles: 7030,
    environment: { ...daemonEnvironment(folder), SPAMD_SYNC_PORT: String(syncPort) },
  })
  if (!parsed.ok) throw new Error(parsed.stderr)
  createDatabase(parsed.config.settings.db)
  const daemon = createTestDaemon(parsed.config, systemClock)
  await daemon.service.start()
  const nowSec = systemClock.nowSec()
  const entry = { type: 'WHITE', timestamp: nowSec, expire: nowSec + 500 } as const
  const forged = encodeSyncMessage(0, { ...entry, ip: '203.0.113.1' }, syncKeyOf(Buffer.from('wrong')))!
  const flood = spawn(process.execPath, ['-e', FLOOD, String(syncPort), Buffer.from(forged).toString('hex')])
  const peer = createSocket('udp4')
  const reader = await openStore(parsed.config.settings.db, { mode: 'read' })
  try {
    await once(flood.stdout, 'data')
    await mail(daemon.resources.smtpPort, 'first@c')
    let counter = 0
    await vi.waitFor(async () => {
      // The kernel drops what does not fit into the buffer: a peer's event is told again by the next one.
      counter += 1
      peer.send(
        encodeSyncMessage(counter, { ...entry, ip: '192.0.2.7' }, syncKeyOf(undefined))!,
        syncPort,
        '127.0.0.1',
      )
      expect(await reader.get({ kind: 'host', ip: '192.0.2.7' })).toMatchObject({ kind: 'WHITE' })
    }, PATIENCE)
    await mail(daemon.resources.smtpPort, 'second@c')
  } finally {
    flood.kill('SIGKILL')
    peer.close()
  }
  // QUIT does not wait for the tuple of its RCPT to be written: what is asked for stands there after the stop.
  await daemon.service.stop()
  expect(await reader.count()).toMatchObject({ WHITE: 1, GREY: 2, TRAPPED: 0 })
  expect(await reader.get({ kind: 'host', ip: '203.0.113.1' })).toBeUndefined()
  await reader.close()
})
