/**
 * The text of db_dump(1) of Berkeley DB, for the databases of greylisting software:
 *
 *   VERSION=3, format=print or bytevalue, type=..., db_lorder=1234 or 4321, HEADER=END, then a key and its data on a
 *   line each behind one blank, then DATA=END. In `print` a byte that is no printable character is `\xx`, a backslash `\\`.
 *
 *   postgrey_clients.db    key: address               data: count,last
 *   postgrey.db            key: address/sender/recipient, data: first,last
 *   spamd                  the records of berkeley-record.ts
 *
 * Source: db_dump(1) of Berkeley DB; the dump of a database that postgrey 1.37 wrote.
 */
import { canonicalPaddedIp } from '../../ip/padded-address.js'
import { decodeBerkeleyRecord } from './berkeley-record.js'
import type { ImportedLine, ImportTimes } from './imported-line.js'

/** Deliveries after which postgrey lets a client pass (--auto-whitelist-clients). */
const POSTGREY_PASSED = 5

/** True for the first line of such a text. */
export function isDbDumpStart(line: string): boolean {
  return /^VERSION=[0-9]+$/.test(line)
}

/** Reads the lines after the first one. */
export class DbDumpReader {
  readonly #times: ImportTimes
  #isHeader = true
  #isPrint = true
  #littleEndian = true
  #key: Buffer | undefined
  #isComplete = false

  constructor(times: ImportTimes) {
    this.#times = times
  }

  /** The entries and findings of one line, latin-1. */
  read(line: string): ImportedLine {
    if (this.#isHeader) {
      if (line === 'format=bytevalue') this.#isPrint = false
      else if (line === 'db_lorder=4321') this.#littleEndian = false
      else if (line === 'HEADER=END') this.#isHeader = false
      return { type: 'nothing' }
    }
    if (line === 'DATA=END') {
      // Another database of the same file may follow.
      this.#isHeader = true
      this.#isComplete = true
      const isHalf = this.#key !== undefined
      this.#key = undefined
      return isHalf ? { type: 'bad', reason: 'a key without data' } : { type: 'nothing' }
    }
    this.#isComplete = false
    if (!line.startsWith(' ')) return { type: 'bad', reason: 'not a line of db_dump(1)' }
    const bytes = this.#isPrint ? bytesOfPrint(line.slice(1)) : bytesOfHex(line.slice(1))
    if (bytes === undefined) return { type: 'bad', reason: 'not a value as db_dump(1) writes it' }
    if (this.#key === undefined) {
      this.#key = bytes
      return { type: 'nothing' }
    }
    const key = this.#key
    this.#key = undefined
    return this.#decode(key, bytes)
  }

  /** The findings at the end of the text: without DATA=END, the rest of it is missing. */
  end(): ImportedLine {
    return this.#isComplete ? { type: 'nothing' } : { type: 'bad', reason: 'truncated: DATA=END is missing' }
  }

  #decode(key: Buffer, data: Buffer): ImportedLine {
    const keyText = key.toString('latin1').replace(/\0$/, '')
    const numbers = /^([0-9]{1,15}),([0-9]{1,15})\0?$/.exec(data.toString('latin1'))
    if (numbers !== null) return this.#decodePostgrey(keyText, Number(numbers[1]), Number(numbers[2]))
    const record = decodeBerkeleyRecord({ key, data, littleEndian: this.#littleEndian })
    if (record.ok) return { type: 'entry', entry: record.entry }
    return { type: 'bad', reason: 'a record of neither postgrey nor spamd' }
  }

  #decodePostgrey(key: string, count: number, last: number): ImportedLine {
    const { whiteSec, greySec, nowSec } = this.#times
    const [address = '', sender, ...recipient] = key.split('/')
    const ip = canonicalPaddedIp(address)
    if (ip === undefined) return { type: 'bad', reason: 'a key that does not begin with an ip address' }
    if (sender === undefined) {
      if (count < POSTGREY_PASSED || last + whiteSec <= nowSec) return { type: 'skipped' }
      const expire = last + whiteSec
      return {
        type: 'entry',
        entry: { kind: 'WHITE', ip, first: last, pass: last, expire, bcount: 1, pcount: count },
      }
    }
    if (recipient.length === 0) return { type: 'bad', reason: 'a tuple without recipient' }
    const first = count
    const expire = first + greySec
    if (expire <= nowSec) return { type: 'skipped' }
    const tuple = { helo: '', from: `<${sender}>`, to: `<${recipient.join('/')}>` }
    return {
      type: 'entry',
      entry: { kind: 'GREY', ip, ...tuple, first, pass: expire, expire, bcount: 1, pcount: 0 },
    }
  }
}

function bytesOfPrint(text: string): Buffer | undefined {
  if (/\\(?!\\|[0-9a-fA-F]{2})/.test(text.replaceAll('\\\\', ''))) return undefined
  const bytes = text.replace(/\\(\\|[0-9a-fA-F]{2})/g, (_, code: string) =>
    code === '\\' ? '\\' : String.fromCharCode(Number.parseInt(code, 16)),
  )
  return Buffer.from(bytes, 'latin1')
}

function bytesOfHex(text: string): Buffer | undefined {
  return /^(?:[0-9a-fA-F]{2})*$/.test(text) ? Buffer.from(text, 'hex') : undefined
}
