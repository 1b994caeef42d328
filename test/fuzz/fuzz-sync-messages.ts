/**
 * Mutated datagrams against the receiver. Without the key nothing may be believed; behind a right HMAC anything may
 * stand, and whatever is believed must hold what the protocol promises.
 *
 *   npx tsx test/fuzz/fuzz-sync-messages.ts [COUNT [SEED]]
 */
import { createHmac } from 'node:crypto'
import { isIPv4 } from 'node:net'
import {
  decodeSyncMessage,
  encodeSyncMessage,
  type SyncEntry,
  syncKeyOf,
} from '../../src/codec/sync-message.js'
import { makeRandom } from './mutate.js'

const KEY = syncKeyOf(Buffer.from('the key of the fuzzer\n'))
const TIME = 1_700_000_000

const SEEDS: SyncEntry[] = [
  { type: 'GREY', timestamp: TIME, ip: '192.0.2.1', from: '<a@b>', to: '<c@d>', helo: 'mx.example.org' },
  { type: 'GREY', timestamp: TIME, ip: '192.0.2.1', from: '<>', to: 'x', helo: '' },
  { type: 'WHITE', timestamp: TIME, ip: '192.0.2.2', expire: TIME + 9 },
  { type: 'TRAPPED', timestamp: TIME, ip: '192.0.2.3', expire: TIME + 9 },
  { type: 'DELETE-WHITE', timestamp: TIME, ip: '192.0.2.4', expire: TIME },
]

function mutate(bytes: Buffer, random: (below: number) => number): Buffer {
  let mutated = Buffer.from(bytes)
  for (let changes = 1 + random(4); changes > 0; changes -= 1) {
    const at = random(mutated.length || 1)
    const kind = random(6)
    if (kind === 0) mutated = mutated.subarray(0, at)
    else if (kind === 1) mutated = Buffer.concat([mutated, bytes.subarray(random(bytes.length))])
    else if (kind === 2 && mutated.length > at + 1) mutated.writeUInt16BE(random(65_536), at)
    else if (kind === 3)
      mutated = Buffer.concat([mutated.subarray(0, at), bytes.subarray(32), mutated.subarray(at)])
    else if (mutated.length > 0) mutated[at] = mutated[at]! ^ (1 << random(8))
  }
  return Buffer.from(mutated)
}

/** Makes the HMAC right for whatever stands in the message, as a peer with the key could. */
function sign(bytes: Buffer): void {
  if (bytes.length < 32) return
  const totalBytes = Math.min(bytes.readUInt16BE(2), bytes.length)
  bytes.fill(0, 8, 28)
  createHmac('sha1', KEY).update(bytes.subarray(0, totalBytes)).digest().copy(bytes, 8)
}

function demand(holds: boolean, what: string, bytes: Buffer): void {
  if (!holds) throw new Error(`${what}: ${bytes.toString('hex')}`)
}

function checkEntry(entry: SyncEntry, bytes: Buffer): void {
  demand(isIPv4(entry.ip), 'an address is none', bytes)
  if (entry.type !== 'GREY') {
    demand(entry.expire >= 0 && entry.expire <= 0xffffffff, 'an expiry is out of range', bytes)
    return
  }
  for (const text of [entry.from, entry.to, entry.helo]) {
    demand(text.length <= 1023 && !/[\0-\x1f\x7f]/.test(text), 'a string is not strict', bytes)
  }
  demand(entry.from !== '' && entry.to !== '', 'a tuple without sender or recipient', bytes)
}

const count = Number(process.argv[2] ?? 1_000_000)
const random = makeRandom(Number(process.argv[3] ?? 1))
const messages = SEEDS.map((entry, index) => Buffer.from(encodeSyncMessage(index, entry, KEY)!))
const tally = { unsigned: 0, signed: 0, believed: 0, refused: 0 }
for (let index = 0; index < count; index += 1) {
  const original = messages[random(messages.length)]!
  const bytes = mutate(original, random)
  const isSigned = index % 2 === 1
  if (isSigned) sign(bytes)
  const result = decodeSyncMessage(bytes, KEY)
  tally[isSigned ? 'signed' : 'unsigned'] += 1
  tally[result.ok ? 'believed' : 'refused'] += 1
  if (!result.ok) continue
  const isUntouched = bytes.subarray(0, original.length).equals(original)
  demand(isSigned || isUntouched, 'believed without a right HMAC', bytes)
  for (const entry of result.value.entries) checkEntry(entry, bytes)
}
process.stdout.write(`${JSON.stringify(tally)}\n`)
