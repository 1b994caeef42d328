/**
 * A digest of records that does not depend on their order, which differs between two databases: the sum of
 * the hashes of their canonical texts.
 */
import { hash } from 'node:crypto'
import type { MergeRecord } from '../../domain/decide-merge.js'
import {
  heldHostOf,
  isPlainWhite,
  mergeHosts,
  registersOf,
  type TupleState,
  type WhiteRegister,
} from '../../domain/merge.js'
import { compareStamps, type Stamp } from '../../domain/stamp.js'

type HostRecord = Extract<MergeRecord, { kind: 'host' }>
type TupleRecord = Extract<MergeRecord, { kind: 'tuple' }>

/** Adds records, as visible at a given time. */
export class RecordDigest {
  count = 0
  readonly #nowSec: number
  /** Sums of the eight 16-bit parts of the hashes, exact up to 10^11 records: adding 128-bit numbers takes longer than hashing. */
  readonly #sums = new Float64Array(8)

  /** `nowSec` in seconds since the Epoch. */
  constructor(nowSec: number) {
    this.#nowSec = nowSec
  }

  /** 32 hexadecimal digits. */
  get text(): string {
    const sum = this.#sums.reduce((high, part) => (high << 16n) + BigInt(part), 0n)
    return BigInt.asUintN(128, sum).toString(16).padStart(32, '0')
  }

  /** False for an address without a visible entry whose marks are no longer needed. */
  add(record: MergeRecord): boolean {
    const text = digestText(record, this.#nowSec)
    if (text === undefined) return false
    const bytes = hash('sha256', text, 'binary')
    for (let part = 0; part < 8; part += 1) {
      this.#sums[part]! += bytes.charCodeAt(2 * part) * 256 + bytes.charCodeAt(2 * part + 1)
    }
    this.count += 1
    return true
  }
}

/**
 * A text that is unique to a record; undefined for an address without a visible entry. Nearly all
 * records of a database are addresses that are only WHITE, and tuples: their texts are short, since each is hashed twice. No
 * field of theirs holds NUL.
 * @internal A test compares it with the rule for all records; of a digest only the sum shows.
 */
export function digestText(record: MergeRecord, nowSec: number): string | undefined {
  if (record.kind === 'tuple' && record.state.first !== undefined) return tupleText(record, record.state)
  if (record.kind !== 'host') return canonicalText(record)
  if (isPlainWhite(record.registers, nowSec)) return whiteText(record, record.registers.white!)
  const seen = shownHost(record, nowSec)
  if (seen === undefined) return undefined
  // Marks without any further effect are left out.
  const { white } = seen.registers
  return isPlainWhite(seen.registers, nowSec) ? whiteText(seen, white!) : canonicalText(seen)
}

function whiteText({ ip, registers }: HostRecord, white: WhiteRegister): string {
  const { bcount, pcount, reset } = registers
  const { expire, first, grant, pass, stamp } = white
  const grantText = compareStamps(grant, stamp) === 0 ? '' : stampText(grant)
  return `W${ip} ${first} ${pass} ${expire} ${Math.max(0, bcount)} ${Math.max(0, pcount)} ${stampText(stamp)} ${grantText} ${reset === undefined ? '' : stampText(reset)}`
}

function tupleText({ tuple }: TupleRecord, { epoch, first, last, expire, count }: TupleState): string {
  const { ip, helo, from, to } = tuple
  return `T${ip}\0${helo}\0${from}\0${to}\0${first.time} ${first.node} ${last.time} ${last.node} ${expire} ${count} ${epoch === undefined ? '' : stampText(epoch)}`
}

function stampText({ time, counter, node }: Stamp): string {
  return `${time}.${counter}.${node}`
}

/** An address as any database stores it: marks without any further effect are not compared. */
function shownHost({ kind, ip, registers }: HostRecord, nowSec: number): HostRecord | undefined {
  const held = heldHostOf(ip, mergeHosts(registers, { bcount: 0, pcount: 0 }), nowSec)
  return held.entry === undefined ? undefined : { kind, ip, registers: registersOf(held) }
}

/** JSON with sorted fields, without undefined ones; only for values that records contain, without arrays. */
function canonicalText(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value !== 'object' || value === null) return String(value)
  const fields = value as Readonly<Record<string, unknown>>
  let text = ''
  for (const name of Object.keys(fields).sort()) {
    const field = fields[name]
    if (field !== undefined) text += `${text === '' ? '' : ','}"${name}":${canonicalText(field)}`
  }
  return `{${text}}`
}
