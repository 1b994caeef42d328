/**
 * Mutated datagrams against the receiver. Without the key nothing may be believed; behind a right HMAC anything may
 * stand, and whatever is believed must hold what the protocol promises.
 */
import { createHmac } from 'node:crypto'
import { isIPv4 } from 'node:net'
import {
  decodeSyncMessage,
  encodeSyncMessage,
  type SyncEntry,
  syncKeyOf,
} from '../../src/codec/sync-message.js'
import { demand } from './demand.js'
import type { Mutator } from './mutate.js'

const KEY = syncKeyOf(Buffer.from('the key of the fuzzer\n'))
const TIME = 1_700_000_000

const ENTRIES: SyncEntry[] = [
  { type: 'GREY', timestamp: TIME, ip: '192.0.2.1', from: '<a@b>', to: '<c@d>', helo: 'mx.example.org' },
  { type: 'GREY', timestamp: TIME, ip: '192.0.2.1', from: '<>', to: 'x', helo: '' },
  { type: 'WHITE', timestamp: TIME, ip: '192.0.2.2', expire: TIME + 9 },
  { type: 'TRAPPED', timestamp: TIME, ip: '192.0.2.3', expire: TIME + 9 },
  { type: 'DELETE-WHITE', timestamp: TIME, ip: '192.0.2.4', expire: TIME },
]

/** A message of each kind, with the right HMAC. */
export const SYNC_MESSAGES = ENTRIES.map((entry, index) => Buffer.from(encodeSyncMessage(index, entry, KEY)!))

/** Pieces of messages for the mutator: headers, lengths, types. */
export const SYNC_TOKENS = [
  '\0',
  '\0\0',
  '\xff\xff',
  '\x02\x01',
  '\0\x04',
  '\0\x1c',
  '\0\x01',
  '\0\x02',
  '\0\x03',
  '<',
  '>',
]

/** Half of the datagrams get a right HMAC, as a peer with the key could make it. */
export function checkSyncMessage(input: Buffer, random: Mutator['random']): void {
  const bytes = Buffer.from(input)
  const isSigned = random(2) === 1
  if (isSigned) sign(bytes)
  const result = decodeSyncMessage(bytes, KEY)
  if (!result.ok) return
  const isUntouched = SYNC_MESSAGES.some((message) => bytes.subarray(0, message.length).equals(message))
  demand(isSigned || isUntouched, 'a message without a right HMAC is believed')
  for (const entry of result.value.entries) checkEntry(entry)
}

function sign(bytes: Buffer): void {
  if (bytes.length < 32) return
  const totalBytes = Math.min(bytes.readUInt16BE(2), bytes.length)
  bytes.fill(0, 8, 28)
  createHmac('sha1', KEY).update(bytes.subarray(0, totalBytes)).digest().copy(bytes, 8)
}

function checkEntry(entry: SyncEntry): void {
  demand(isIPv4(entry.ip), 'an address is none')
  if (entry.type !== 'GREY') {
    demand(entry.expire >= 0 && entry.expire <= 0xffffffff, 'an expiry is out of range')
    return
  }
  for (const text of [entry.from, entry.to, entry.helo]) {
    demand(text.length <= 1023 && !/[\0-\x1f\x7f]/.test(text), 'a string is not strict')
  }
  demand(entry.from !== '' && entry.to !== '', 'a tuple without sender or recipient')
}
