import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AppliedEdit } from '../../../../src/app/database/edit-entries.js'
import { openEditAnnouncer } from '../../../../src/app/sync/announce-edits.js'
import { decodeSyncMessage, syncKeyOf } from '../../../../src/codec/sync-message.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { UdpRecorder } from '../../../support/udp-recorder.js'

const NOW = 1_700_000_000
const KEY = syncKeyOf(Buffer.from('k'))
let folder: string
let peer: UdpRecorder
let warnings: string[]

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'announce-'))
  writeFileSync(join(folder, 'key'), 'k', { mode: 0o600 })
  peer = await UdpRecorder.open('127.0.0.1')
  warnings = []
})
afterEach(() => {
  peer.close()
  rmSync(folder, { recursive: true })
})

const open = (targets: string[] = ['127.0.0.1']) =>
  openEditAnnouncer(targets, {
    environment: { SPAMD_KEY: join(folder, 'key'), SPAMD_SYNC_PORT: String(peer.port) },
    clock: new ManualClock(NOW),
    warn: (message) => warnings.push(message),
  })

const added = (kind: 'WHITE' | 'TRAPPED', ip: string, expire?: number): AppliedEdit => ({
  edit: { operation: 'add', kind, ip, ...(expire === undefined ? {} : { options: { expire } }) },
  outcome: 'added',
})

async function told(changes: AppliedEdit[], count: number) {
  const announcer = await open()
  await announcer.announce(changes)
  await announcer.finish()
  await peer.waitFor(count)
  return peer.datagrams.map(({ bytes }) => {
    const decoded = decodeSyncMessage(bytes, KEY)
    return decoded.ok ? decoded.value.entries : decoded.reason
  })
}

describe('spamdb -Y', () => {
  test('tells of added and deleted addresses, in order, each in a datagram of its own', async () => {
    const changes: AppliedEdit[] = [
      added('WHITE', '192.0.2.1'),
      added('TRAPPED', '192.0.2.2'),
      added('WHITE', '192.0.2.3', NOW + 60),
      added('WHITE', '192.0.2.4', 0),
      { edit: { operation: 'delete', key: { kind: 'host', ip: '192.0.2.5' } }, outcome: 'deleted' },
    ]
    const timestamp = NOW
    expect(await told(changes, 5)).toEqual([
      [{ type: 'WHITE', timestamp, ip: '192.0.2.1', expire: NOW + 3_110_400 }],
      [{ type: 'TRAPPED', timestamp, ip: '192.0.2.2', expire: NOW + 86_400 }],
      [{ type: 'WHITE', timestamp, ip: '192.0.2.3', expire: NOW + 60 }],
      [{ type: 'WHITE', timestamp, ip: '192.0.2.4', expire: 0x7fffffff }],
      [{ type: 'DELETE-WHITE', timestamp, ip: '192.0.2.5', expire: NOW }],
    ])
    expect(warnings).toEqual([])
  })
  test('says nothing of what did not change and of what has no message', async () => {
    const changes: AppliedEdit[] = [
      { edit: { operation: 'delete', key: { kind: 'host', ip: '192.0.2.5' } }, outcome: 'missing' },
      { ...added('WHITE', '192.0.2.6'), outcome: 'skipped' },
      { edit: { operation: 'add', kind: 'SPAMTRAP', address: 'a@b' }, outcome: 'added' },
      { edit: { operation: 'delete', key: { kind: 'spamtrap', address: 'a@b' } }, outcome: 'deleted' },
      { edit: { operation: 'delete-tuples', ip: '192.0.2.7', all: true }, outcome: 'deleted' },
      added('WHITE', '2001:db8::1'),
      added('WHITE', '192.0.2.8'),
    ]
    expect(await told(changes, 1)).toMatchObject([[{ ip: '192.0.2.8' }]])
    expect(warnings).toEqual(['1 IPv6 entries were not sent: the protocol carries IPv4 only'])
  })
  test('a thousand changes all leave', async () => {
    const changes = Array.from({ length: 1000 }, (_, index) =>
      added('WHITE', `10.0.${index >> 8}.${index & 255}`),
    )
    const announcer = await open()
    await announcer.announce(changes)
    await announcer.finish()
    expect(warnings).toEqual([])
  })
  test('a target that is nowhere is a warning, nothing more', async () => {
    const announcer = await open(['no-such-if0'])
    await announcer.announce([added('WHITE', '192.0.2.1')])
    await announcer.finish()
    expect(warnings).toEqual(['other gateways are not told: sync init: No such device'])
  })
  test('no key is a warning, the message is sent', async () => {
    rmSync(join(folder, 'key'))
    expect(await told([added('WHITE', '192.0.2.1')], 1)).toEqual(['hmac'])
    expect(warnings).toEqual([`no synchronisation key in ${folder}/key: anybody can forge messages`])
  })
})
