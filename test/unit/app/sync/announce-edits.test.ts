import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openEditAnnouncer } from '../../../../src/app/sync/announce-edits.js'
import { decodeSyncMessage, syncKeyOf } from '../../../../src/codec/sync-message.js'
import type { ManualEdit } from '../../../../src/db/store.js'
import type { Change } from '../../../../src/domain/change.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { Scratch } from '../../../support/scratch-database.js'
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

const scratch = new Scratch()
const add = (kind: 'WHITE' | 'TRAPPED', ip: string, expire?: number): ManualEdit => ({
  operation: 'add',
  kind,
  ip,
  ...(expire === undefined ? {} : { options: { expire } }),
})
const remove = (ip: string): ManualEdit => ({ operation: 'delete', key: { kind: 'host', ip } })

/** What the edits change in a database that has seen `earlier` ones. */
async function changesOf(edits: ManualEdit[], earlier: ManualEdit[] = []): Promise<Change[]> {
  const store = await scratch.store({ durability: 'normal' })
  await store.edit(earlier, NOW - 60)
  return (await store.edit(edits, NOW)).changes
}

async function told(edits: ManualEdit[], count: number, earlier?: ManualEdit[]) {
  const announcer = await open()
  await announcer.announce(await changesOf(edits, earlier))
  await announcer.finish()
  await peer.waitFor(count)
  return peer.datagrams.map(({ bytes }) => {
    const decoded = decodeSyncMessage(bytes, KEY)
    return decoded.ok ? decoded.value.entries : decoded.reason
  })
}

describe('spamdb -Y', () => {
  test('tells of added and deleted addresses, in order, each in a datagram of its own', async () => {
    const edits = [
      add('WHITE', '192.0.2.1'),
      add('TRAPPED', '192.0.2.2'),
      add('WHITE', '192.0.2.3', NOW + 60),
      add('WHITE', '192.0.2.4', 0),
      remove('192.0.2.5'),
    ]
    const timestamp = NOW
    expect(await told(edits, 5, [add('WHITE', '192.0.2.5')])).toEqual([
      [{ type: 'WHITE', timestamp, ip: '192.0.2.1', expire: NOW + 3_110_400 }],
      [{ type: 'TRAPPED', timestamp, ip: '192.0.2.2', expire: NOW + 86_400 }],
      [{ type: 'WHITE', timestamp, ip: '192.0.2.3', expire: NOW + 60 }],
      [{ type: 'WHITE', timestamp, ip: '192.0.2.4', expire: 0x7fffffff }],
      [{ type: 'DELETE-WHITE', timestamp, ip: '192.0.2.5', expire: NOW }],
    ])
    expect(warnings).toEqual([])
  })
  test('says nothing of what did not change and of what has no message', async () => {
    const edits: ManualEdit[] = [
      remove('192.0.2.5'),
      { operation: 'add', kind: 'WHITE', ip: '192.0.2.6', options: { ifMissing: true } },
      { operation: 'add', kind: 'SPAMTRAP', address: 'a@b' },
      { operation: 'delete', key: { kind: 'spamtrap', address: 'a@b' } },
      { operation: 'delete-tuples', ip: '192.0.2.7', all: true },
      add('WHITE', '2001:db8::1'),
      add('WHITE', '192.0.2.8'),
    ]
    expect(await told(edits, 1, [add('WHITE', '192.0.2.6')])).toMatchObject([[{ ip: '192.0.2.8' }]])
    expect(warnings).toEqual(['warning: 1 IPv6 entries were not sent: the protocol supports only IPv4'])
  })
  test('tells what is in the database: a pinned entry that is added again stays pinned', async () => {
    const pinned = add('WHITE', '192.0.2.1', 0)
    const timestamp = NOW
    expect(await told([add('WHITE', '192.0.2.1')], 1, [pinned])).toEqual([
      [{ type: 'WHITE', timestamp, ip: '192.0.2.1', expire: 0x7fffffff }],
    ])
  })
  test('a thousand changes all leave', async () => {
    const edits = Array.from({ length: 1000 }, (_, index) =>
      add('WHITE', `10.0.${index >> 8}.${index & 255}`),
    )
    const announcer = await open()
    await announcer.announce(await changesOf(edits))
    await announcer.finish()
    expect(warnings).toEqual([])
  })
  test('a target that is nowhere is a warning, nothing more', async () => {
    const announcer = await open(['no-such-if0'])
    await announcer.announce(await changesOf([add('WHITE', '192.0.2.1')]))
    await announcer.finish()
    expect(warnings).toEqual(['warning: cannot notify sync peers: sync init: No such device'])
  })
  test('no key is a warning, the message is sent', async () => {
    rmSync(join(folder, 'key'))
    expect(await told([add('WHITE', '192.0.2.1')], 1)).toEqual(['hmac'])
    expect(warnings).toEqual([`no synchronisation key in ${folder}/key: anyone can forge messages`])
  })
})
