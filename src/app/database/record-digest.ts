/**
 * A digest of records that does not depend on their order, because two databases list them in different ones: the sum of
 * the hashes of their canonical texts.
 */
import { hash } from 'node:crypto'
import type { MergeRecord } from '../../domain/decide-merge.js'
import {
  type HostRegisters,
  heldHostOf,
  mergeHosts,
  registersOf,
  type TupleState,
} from '../../domain/merge.js'
import { compareStamps, type Stamp } from '../../domain/stamp.js'

type HostRecord = Extract<MergeRecord, { kind: 'host' }>
type TupleRecord = Extract<MergeRecord, { kind: 'tuple' }>

/** Collects records as they would show at a time. */
export class RecordDigest {
  count = 0
  readonly #nowSec: number
  /** Of the hashes' first eight parts of 16 bits each, exact up to 10^11 records: adding whole numbers of 128 bits takes longer than the hash. */
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

  /** False for an address that no longer shows and whose marks are not needed. */
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
 * The canonical text of a record; undefined for an address that no longer shows. Nearly all records of a database are
 * addresses that are only WHITE, and tuples: their texts are written down field by field, at a fifth of the cost.
 */
export function digestText(record: MergeRecord, nowSec: number): string | undefined {
  if (record.kind === 'tuple' && record.state.first !== undefined) return tupleText(record, record.state)
  if (record.kind !== 'host') return canonicalText(record)
  const { reset, white, trap, hand } = record.registers
  const isPlain = trap === undefined && hand === undefined && white !== undefined
  if (isPlain && white.expire > nowSec && compareStamps(white.grant, reset) >= 0)
    return whiteText(record, white)
  const seen = shownHost(record, nowSec)
  return seen === undefined ? undefined : canonicalText(seen)
}

function whiteText({ ip, registers }: HostRecord, white: NonNullable<HostRegisters['white']>): string {
  const { bcount, pcount, reset } = registers
  const resetText = reset === undefined ? '' : `"reset":${stampText(reset)},`
  const { expire, first, grant, pass, stamp } = white
  return `{"ip":${JSON.stringify(ip)},"kind":"host","registers":{"bcount":${Math.max(0, bcount)},"pcount":${Math.max(0, pcount)},${resetText}"white":{"expire":${expire},"first":${first},"grant":${stampText(grant)},"pass":${pass},"stamp":${stampText(stamp)}}}}`
}

function tupleText({ tuple }: TupleRecord, { epoch, first, last, expire, count }: TupleState): string {
  const { ip, helo, from, to } = tuple
  const epochText = epoch === undefined ? '' : `"epoch":${stampText(epoch)},`
  return `{"kind":"tuple","state":{"count":${count},${epochText}"expire":${expire},"first":{"node":${first.node},"time":${first.time}},"last":{"node":${last.node},"time":${last.time}}},"tuple":{"from":${JSON.stringify(from)},"helo":${JSON.stringify(helo)},"ip":${JSON.stringify(ip)},"to":${JSON.stringify(to)}}}`
}

function stampText({ time, counter, node }: Stamp): string {
  return `{"counter":${counter},"node":${node},"time":${time}}`
}

/** An address as any database stores it: what can never show again is not compared. */
function shownHost({ kind, ip, registers }: HostRecord, nowSec: number): unknown {
  const held = heldHostOf(ip, mergeHosts(registers, { bcount: 0, pcount: 0 }), nowSec)
  return held.entry === undefined ? undefined : { kind, ip, registers: registersOf(held) }
}

/** JSON with the fields in order, those without a value left out; of what records consist of, without arrays. */
export function canonicalText(value: unknown): string {
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
