/**
 * A name server for tests on loopback, UDP and TCP on one port: it answers from a zone, and can be silent, fail,
 * truncate its answers or answer nonsense. Source of the format: RFC 1035 section 4.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'

export type ZoneRecord =
  | { type: 'A' | 'AAAA'; value: string; ttl?: number }
  | { type: 'CNAME' | 'PTR'; value: string }
  | { type: 'MX'; preference: number; value: string }
  /** One record of several strings, latin-1. */
  | { type: 'TXT'; strings: readonly string[] }

/** Behaviour of a name instead of an answer; `cut` is truncated on UDP and complete on TCP. */
export type Misbehaviour = 'silent' | 'servfail' | 'refused' | 'cut' | 'garbage' | 'other-id'

export interface ZoneName {
  records?: readonly ZoneRecord[]
  behaviour?: Misbehaviour
}

const TYPES = { A: 1, CNAME: 5, PTR: 12, MX: 15, TXT: 16, AAAA: 28 } as const
const NOERROR = 0
const SERVFAIL = 2
const NXDOMAIN = 3
const REFUSED = 5
const RESPONSE = 0x8480
const TRUNCATED = 0x0200
const RECURSION = 0x0100
const MAX_UDP = 1232

export class TestDnsServer {
  /** Questions in the order of arrival, as `TYPE name`. */
  readonly asked: string[] = []
  /** By lower-case name; other names do not exist. */
  readonly zone: Map<string, ZoneName>
  /** True to answer nothing at all. */
  isDead = false
  readonly #udp: UdpSocket = createSocket('udp4')
  readonly #tcp: Server = createServer((socket) => this.#serve(socket))
  readonly #sockets = new Set<Socket>()
  #host = '127.0.0.1'

  constructor(zone: Readonly<Record<string, ZoneName>> = {}) {
    this.zone = new Map(Object.entries(zone).map(([name, value]) => [name.toLowerCase(), value]))
    this.#udp.on('message', (message, { address, port }) => {
      const reply = this.#reply(message, true)
      if (reply !== undefined) this.#udp.send(reply, port, address)
    })
  }

  /** `ADDRESS:PORT` for a client. */
  get place(): string {
    return `${this.#host}:${this.#udp.address().port}`
  }

  async start(host = '127.0.0.1', port = 0): Promise<void> {
    this.#host = host
    // The port may be free for TCP but taken for UDP: then try another one.
    for (;;) {
      this.#tcp.listen(port, host)
      await once(this.#tcp, 'listening')
      try {
        const address = this.#tcp.address() as { port: number }
        this.#udp.bind(address.port, host)
        await once(this.#udp, 'listening')
        return
      } catch (error) {
        if (port !== 0) throw error
        this.#tcp.close()
      }
    }
  }

  stop(): void {
    this.#udp.close()
    for (const socket of this.#sockets) socket.destroy()
    this.#tcp.close()
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    let pending = Buffer.alloc(0)
    socket.on('error', () => undefined)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk])
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const end = 2 + pending.readUInt16BE(0)
        const reply = this.#reply(pending.subarray(2, end), false)
        pending = pending.subarray(end)
        if (reply === undefined) continue
        const length = Buffer.alloc(2)
        length.writeUInt16BE(reply.length)
        socket.write(Buffer.concat([length, reply]))
      }
    })
  }

  #reply(query: Buffer, isUdp: boolean): Buffer | undefined {
    const { name, type, end } = questionOf(query)
    const typeName = Object.entries(TYPES).find(([, number]) => number === type)?.[0] ?? String(type)
    this.asked.push(`${typeName} ${name}`)
    if (this.isDead) return undefined
    const found = this.zone.get(name)
    const question = query.subarray(12, end)
    switch (found?.behaviour) {
      case 'silent':
        return undefined
      case 'servfail':
        return message(query, question, SERVFAIL, [])
      case 'refused':
        return message(query, question, REFUSED, [])
      case 'garbage':
        return Buffer.concat([query.subarray(0, 2), Buffer.alloc(40, 0xff)])
      case 'other-id':
        return message(Buffer.from([query[0]! ^ 0xff, query[1]!]), question, NOERROR, [])
      case 'cut':
        if (isUdp) return message(query, question, NOERROR, [], TRUNCATED)
        break
      case undefined:
        break
    }
    if (found === undefined) return message(query, question, NXDOMAIN, [])
    const answers = this.#answers(name, type)
    const reply = message(query, question, NOERROR, answers)
    return isUdp && reply.length > MAX_UDP ? message(query, question, NOERROR, [], TRUNCATED) : reply
  }

  /** Follows aliases as a recursive server does, up to eight. */
  #answers(asked: string, type: number): Buffer[] {
    const answers: Buffer[] = []
    let name = asked
    for (let hop = 0; hop < 8; hop += 1) {
      const records: readonly ZoneRecord[] = this.zone.get(name)?.records ?? []
      const alias = records.find((record) => record.type === 'CNAME')
      const wanted = alias === undefined ? records.filter((record) => TYPES[record.type] === type) : [alias]
      for (const record of wanted) answers.push(encodeRecord(name, record))
      if (alias === undefined || alias.type !== 'CNAME') break
      name = alias.value.toLowerCase()
    }
    return answers
  }
}

function questionOf(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = 12
  while (query[at] !== 0) {
    const length = query[at]!
    labels.push(query.subarray(at + 1, at + 1 + length).toString('latin1'))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 }
}

function message(
  query: Buffer,
  question: Buffer,
  code: number,
  answers: readonly Buffer[],
  flags = 0,
): Buffer {
  const header = Buffer.alloc(12)
  header[0] = query[0]!
  header[1] = query[1]!
  header.writeUInt16BE(RESPONSE | RECURSION | flags | code, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(answers.length, 6)
  return Buffer.concat([header, question, ...answers])
}

function encodeRecord(name: string, record: ZoneRecord): Buffer {
  const data = encodeData(record)
  const fixed = Buffer.alloc(10)
  fixed.writeUInt16BE(TYPES[record.type], 0)
  fixed.writeUInt16BE(1, 2)
  fixed.writeUInt32BE('ttl' in record ? (record.ttl ?? 300) : 300, 4)
  fixed.writeUInt16BE(data.length, 8)
  return Buffer.concat([encodeName(name), fixed, data])
}

function encodeData(record: ZoneRecord): Buffer {
  switch (record.type) {
    case 'A':
      return Buffer.from(record.value.split('.').map(Number))
    case 'AAAA':
      return Buffer.from(encodeIpv6(record.value))
    case 'CNAME':
    case 'PTR':
      return encodeName(record.value)
    case 'MX': {
      const preference = Buffer.alloc(2)
      preference.writeUInt16BE(record.preference)
      return Buffer.concat([preference, encodeName(record.value)])
    }
    case 'TXT':
      return Buffer.concat(
        record.strings.map((text) =>
          Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')]),
        ),
      )
  }
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '')
  return Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')])),
    Buffer.from([0]),
  ])
}

function encodeIpv6(text: string): number[] {
  const [head = '', tail] = text.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const middle = new Array<string>(8 - left.length - right.length).fill('0')
  return [...left, ...middle, ...right].flatMap((group) => {
    const value = Number.parseInt(group, 16)
    return [value >>> 8, value & 255]
  })
}

/** Splits text into strings of at most 255 bytes, as in TXT records. */
export function inStrings(text: string): string[] {
  return text.match(/[\s\S]{1,255}/g) ?? ['']
}
