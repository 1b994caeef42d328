/** The peers of a transcript: what they send to the daemon and receive from it. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { expect } from 'vitest'
import { UdpRecorder } from '../udp-recorder.js'
import type { GreyLines, GreyModel } from './grey-model.js'
import type { SpamdRecord, Step } from './record.js'
import { type ModelSyncEntry, modelMessage, SyncModel } from './sync-model.js'

const EPOCH = 1_700_000_000
const MAX_MESSAGE = 1408

interface SentMessage {
  to: string
  hex: string
}

/** What the daemon should print and log because of its peers. */
export interface SyncLines {
  out: string[]
  syslog: string[]
}

export class SyncPeers {
  readonly port: number
  /** Names of the differences from the original that applied. */
  readonly differences = new Set<
    'sync-strict' | 'sync-repeat' | 'sync-clock' | 'sync-too-long' | 'sync-receiver' | 'sync-deletion'
  >()
  readonly #targets: string[]
  readonly #sendingInterface: string | undefined
  readonly #listen: string | undefined
  readonly #keyFile: string | undefined
  readonly #model: SyncModel
  readonly #recorders: Map<string, UdpRecorder>
  readonly #expected: SentMessage[] = []
  #counter = 0

  private constructor(record: SpamdRecord, port: number, recorders: Map<string, UdpRecorder>) {
    this.port = port
    this.#recorders = recorders
    this.#targets = valuesOf(record, 'Y').filter((target) => !isInterface(target))
    this.#sendingInterface = valuesOf(record, 'Y').findLast(isInterface)
    this.#listen = valuesOf(record, 'y').at(-1)
    this.#keyFile = record.files['spamd.key']
    this.#model = new SyncModel(this.#keyFile)
  }

  /** Opens a port for each target of -Y; the same number is the daemon's synchronisation port. */
  static async open(record: SpamdRecord): Promise<SyncPeers> {
    const recorders = new Map<string, UdpRecorder>()
    let port = 0
    for (const target of valuesOf(record, 'Y').map(addressOf)) {
      if (!target.startsWith('127.') || recorders.has(target)) continue
      const recorder = await UdpRecorder.open(target, port)
      port = recorder.port
      recorders.set(target, recorder)
    }
    if (port === 0) {
      const probe = await UdpRecorder.open('127.0.0.1')
      port = probe.port
      probe.close()
    }
    return new SyncPeers(record, port, recorders)
  }

  close(): void {
    for (const recorder of this.#recorders.values()) recorder.close()
  }

  /** Lines at the start. */
  startLines(): string[] {
    const hosts = this.#targets.map(
      (name) => `added spam sync host ${name} (address ${addressOf(name)}, port ${this.port})`,
    )
    const receiving = this.#listen !== undefined && isInterface(this.#listen) ? this.#listen : undefined
    const multicast = this.#sendingInterface ?? receiving
    if (multicast === undefined) return hosts
    const ttl = multicast.split(':')[1] ?? receiving?.split(':')[1] ?? '1'
    const mode = this.#sendingInterface === undefined ? 'sync receive mode' : 'sync mode'
    return [...hosts, `using multicast spam ${mode} (ttl ${ttl}, group 224.0.1.240, port ${this.port})`]
  }

  /** A local tuple was handled; `lines` are those of the greylister about it. */
  announce(
    tuple: { ip: string; helo: string; from: string; to: string },
    lines: GreyLines,
    trapSec: number,
    nowSec: number,
  ): SyncLines {
    const result: SyncLines = { out: [], syslog: [] }
    const isSending = this.#targets.length > 0 || this.#sendingInterface !== undefined
    if (!isSending || lines.out.length === 0) return result
    const isTrap = lines.syslog.some((line) => line.startsWith('DEBUG Trapping '))
    const timestamp = EPOCH + nowSec
    const event = isTrap ? { ip: tuple.ip, trapExpire: timestamp + trapSec } : tuple
    if (isTrap) {
      result.syslog.push(`DEBUG sync_trap ${tuple.ip}`)
      result.out.push(`sync trapped ${tuple.ip}`)
    } else {
      result.out.push(`sync grey update helo ${tuple.helo} ip ${tuple.ip} from ${tuple.from} to ${tuple.to}`)
    }
    if (tuple.ip.includes(':')) return result
    const message = modelMessage(this.#keyFile, this.#counter, timestamp, event)
    if (message.length > MAX_MESSAGE) {
      this.differences.add('sync-too-long')
      result.syslog.push(`DEBUG sync message for ${tuple.ip} is too long and not sent`)
      return result
    }
    this.#counter += 1
    if (this.#sendingInterface !== undefined) result.out.push('sending multicast sync message')
    for (const target of this.#targets.toReversed()) {
      result.out.push(`sending sync message to ${target} (${addressOf(target)})`)
      this.#expected.push({ to: addressOf(target), hex: message.toString('hex') })
    }
    return result
  }

  /** Compares what was sent since the last call with the model and with the transcript. */
  async compareSent(step: Step, label: string): Promise<void> {
    const wanted = this.#expected.splice(0)
    const got: SentMessage[] = []
    for (const [to, recorder] of this.#recorders) {
      await recorder.waitFor(wanted.filter((message) => message.to === to).length)
      for (const { bytes } of recorder.datagrams.splice(0)) got.push({ to, hex: bytes.toString('hex') })
    }
    const byTarget = (messages: SentMessage[]): SentMessage[] =>
      messages.toSorted((a, b) => a.to.localeCompare(b.to))
    expect(byTarget(got), `${label}: messages`).toEqual(byTarget(wanted))
    const recorded = (step.sync_sent ?? []) as { to: string; hex: string }[]
    if (this.differences.size > 0) return
    expect(byTarget(got), `${label}: messages of the transcript`).toEqual(
      byTarget(recorded.map(({ to, hex }) => ({ to, hex }))),
    )
  }

  get #receivingAddress(): string {
    return this.#listen === undefined || isInterface(this.#listen) ? '127.0.0.1' : this.#listen
  }

  /** Sends a datagram from a peer; resolves when it has been sent. */
  async send(step: Step): Promise<void> {
    const socket = createSocket('udp4')
    socket.bind(0, step.src ?? '127.0.0.2')
    await once(socket, 'listening')
    await new Promise((resolve) =>
      socket.send(Buffer.from(step.hex ?? '', 'hex'), this.port, this.#receivingAddress, resolve),
    )
    socket.close()
  }

  /** Predicts what the daemon does with the datagram of a step; entries go into the greylister's model. */
  receive(step: Step, grey: GreyModel, nowSec: number): SyncLines & { grey: GreyLines[] } {
    const result: SyncLines & { grey: GreyLines[] } = { out: [], syslog: [], grey: [] }
    const datagram = Buffer.from(step.hex ?? '', 'hex')
    const peer = step.src ?? '127.0.0.2'
    if (datagram.length === 0) return result
    const received = this.#model.receive(datagram, EPOCH + nowSec)
    if (received.shownBytes !== undefined) {
      result.out.push(`${peer}(sync): received packet of ${received.shownBytes} bytes`)
    }
    if (received.invalidType !== undefined) result.out.push(`invalid type: ${received.invalidType}`)
    if (received.entries === undefined) {
      result.out.push(`${peer}(sync): truncated or invalid packet`)
    } else if (received.skewSec !== undefined) {
      this.differences.add('sync-clock')
      result.out.push(`${peer}(sync): ignored: the clocks differ by ${received.skewSec} seconds`)
    } else if (received.isRepeat) {
      this.differences.add('sync-repeat')
      result.out.push(`${peer}(sync): ignored: seen before`)
    } else {
      for (const entry of received.entries) this.#apply(entry, peer, grey, nowSec, result)
    }
    const isEntry = (line: string): boolean => /received (grey|white|trapped) entry/.test(line)
    const isShown = (line: string): boolean => line.includes('received packet of')
    const recorded = step.out ?? []
    const isSame = [isEntry, isShown].every(
      (test) => recorded.filter(test).length === result.out.filter(test).length,
    )
    if (!isSame && !received.isRepeat && received.skewSec === undefined) this.differences.add('sync-strict')
    return result
  }

  #apply(
    entry: ModelSyncEntry,
    peer: string,
    grey: GreyModel,
    nowSec: number,
    result: SyncLines & { grey: GreyLines[] },
  ): void {
    if (entry.type === 'GREY') {
      result.out.push(
        `${peer}(sync): received grey entry helo ${entry.helo} ip ${entry.ip} from ${entry.from} to ${entry.to}`,
      )
      result.grey.push(grey.submit(entry.ip, entry.helo, entry.from, entry.to, nowSec))
      return
    }
    if (entry.type === 'DELETE-WHITE' || entry.type === 'DELETE-TRAPPED') {
      const kind = entry.type.slice('DELETE-'.length).toLowerCase()
      this.differences.add('sync-deletion')
      result.out.push(`${peer}(sync): received deleted ${kind} entry ip ${entry.ip}`)
      if (grey.hosts.delete(entry.ip)) result.syslog.push(`DEBUG deleted ${entry.ip} as requested by ${peer}`)
      return
    }
    const word = entry.type.toLowerCase()
    result.out.push(`${peer}(sync): received ${word} entry ip ${entry.ip}`)
    const expire = entry.expire - EPOCH
    if (expire < nowSec) return
    const known = grey.hosts.get(entry.ip)
    const isTrap = entry.type === 'TRAPPED'
    if (known === undefined) {
      grey.hosts.set(entry.ip, { first: nowSec, pass: -EPOCH, expire, bcount: 0, pcount: isTrap ? -1 : 0 })
      result.out.push(isTrap ? `added trap entry for ${entry.ip}` : `added  ${entry.ip}`)
      result.syslog.push(
        `DEBUG new ${isTrap ? 'TRAP' : 'WHITE'} from ${peer} for ${entry.ip}, expires ${entry.expire}`,
      )
      return
    }
    const wasTrap = known.pcount === -1
    if (!isTrap && wasTrap) {
      this.differences.add('sync-receiver')
      return
    }
    this.differences.add('sync-receiver')
    known.expire = isTrap && !wasTrap ? expire : Math.max(known.expire, expire)
    if (isTrap) known.bcount += 1
    known.pcount = isTrap ? -1 : known.pcount + 1
    result.out.push(`updated ${entry.ip}`)
  }
}

/** The lines of a transcript as ours prints them: one line for each of the greylister's texts, no trailing blank. */
export function splitSyncLines(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const [, head, tail = ''] =
      /^(\S+\(sync\): received (?:white|trapped) entry ip \S+) ?(.*)$/.exec(line) ?? []
    if (head === undefined) return [line]
    return tail === '' ? [head] : [head, tail]
  })
}

/** Replaces the only name that every machine knows by its address. */
function addressOf(target: string): string {
  return target === 'localhost' ? '127.0.0.1' : target
}

/** A name, with or without `:ttl`, of an interface of this machine. */
function isInterface(target: string): boolean {
  return networkInterfaces()[target.split(':')[0]!] !== undefined
}

/** Values of an option, in getopt(3)'s grammar: joined or separate, alone or after switches. */
function valuesOf(record: SpamdRecord, letter: string): string[] {
  const values: string[] = []
  const words = [...record.argv]
  while (words[0]?.startsWith('-') === true && words[0] !== '--') {
    const [, name, rest = ''] = /^-[45bdv]*([A-Za-z])?(.*)$/.exec(words.shift()!) ?? []
    if (name === undefined) continue
    const value = rest === '' ? words.shift() : rest
    if (name === letter && value !== undefined) values.push(value)
  }
  return values
}
