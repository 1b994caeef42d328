/**
 * Predicts the results of the original and of our spamlogd for the input of a transcript, by the specification and
 * the intended differences. Written independently of src, to check it.
 */
import { createHash, createHmac } from 'node:crypto'
import { originalLine, ourLine, type RecordRules } from './pflog-oracle.js'
import type { SpamlogdOutcome, SpamlogdTranscript } from './transcript.js'

export type Who = 'original' | 'ours'

/** The capture of a transcript, as libpcap reads it. */
export interface TranscriptCapture {
  records: readonly Uint8Array[]
  linkType: number
  /** Set if it cannot be opened. */
  reason?: string
}

interface Host {
  first: number
  pass: number
  expire: number
  bcount: number
  pcount: number
}

interface Options extends RecordRules {
  isDebug: boolean
  device: string
  whiteHours: number
  targets: string[]
}

const USAGE = 'usage: spamlogd [-DI] [-i interface] [-l pflog_interface] [-W whiteexp] [-Y synctarget]'
const DB = '{DIR}/db'
/** Why a database cannot be opened, by the state of its file. */
const OPEN_REASONS: Readonly<Record<string, string>> = {
  missing: 'No such file or directory',
  dir: 'Is a directory',
  garbage: 'Inappropriate file type or format',
  short: 'Inappropriate file type or format',
}
const LINK_TYPES: Readonly<Record<number, string>> = {
  0: 'NULL',
  1: 'ETHERNET',
  9: 'PPP',
  12: 'RAW',
  14: 'RAW',
  101: 'RAW',
  105: 'IEEE802_11',
  108: 'LOOP',
  113: 'LINUX_SLL',
  276: 'LINUX_SLL2',
}

/**
 * Predicts one run. `filterFault` is the text of libpcap if it refuses the filter that the original makes from the
 * name given with -i; ours uses no filter.
 */
export function predictRun(
  who: Who,
  transcript: SpamlogdTranscript,
  capture: TranscriptCapture,
  filterFault: string | undefined,
): SpamlogdOutcome {
  const run = new Run(who, transcript)
  run.outcome.rc = run.play(capture, filterFault)
  run.outcome.listing = run.listing()
  return run.outcome
}

class Run {
  readonly outcome: SpamlogdOutcome = {
    rc: 0,
    stderr: [],
    syslog: [],
    listing: [],
    syncLines: [],
    sent: [],
  }
  readonly #isOurs: boolean
  readonly #transcript: SpamlogdTranscript
  readonly #hosts = new Map<string, Host | 'damaged'>()
  readonly #otherLines: string[] = []
  #options: Options = {
    isDebug: false,
    device: 'pflog0',
    whiteHours: 864,
    targets: [],
    interfaceName: undefined,
    isInboundOnly: false,
  }

  constructor(who: Who, transcript: SpamlogdTranscript) {
    this.#isOurs = who === 'ours'
    this.#transcript = transcript
    this.#put()
  }

  /** The exit code. */
  play(capture: TranscriptCapture, filterFault: string | undefined): number {
    const { env } = this.#transcript
    const { stderr } = this.outcome
    if (env['@uid'] !== undefined) return this.#fail('need root privileges')
    // Difference: the port has a default.
    if (env.ANCHOR_NOSERVICE !== undefined && !this.#isOurs) {
      return this.#fail('Can\'t find service "spamd-sync" in /etc/services')
    }
    const faults = this.#parse()
    if (!this.#isOurs || faults === undefined) this.#nameTargets()
    if (faults !== undefined) {
      stderr.push(...faults)
      return 1
    }
    const { isInboundOnly, interfaceName, device } = this.#options
    const scope = isInboundOnly ? 'Inbound direction only.' : ''
    this.#log('DEBUG', `Listening on ${device} for ${interfaceName ?? 'all interfaces.'} ${scope}`)
    const noCapture = this.#captureFault(capture, filterFault)
    if (noCapture !== undefined) return noCapture
    const target = this.#options.targets.find((name) => addressOf(name) === undefined)
    if (target !== undefined) return this.#fail('sync init: No such device')
    if (env.ANCHOR_NOUSER !== undefined) return this.#fail('no such user _spamd')
    const reason = OPEN_REASONS[this.#transcript.db]
    if (reason !== undefined && this.#isOurs && !this.#options.isDebug) {
      // Difference: a database that can never be used ends the program at start, while somebody is watching.
      if (this.#transcript.db !== 'missing') return this.#fail(`Can not open db ${DB}: ${reason}`)
      stderr.push(`spamlogd: ${DB} does not exist yet: keeping updates until it does`)
    }
    this.#watch(capture, reason)
    this.#log('NOTICE', 'exiting')
    return 0
  }

  listing(): string[] {
    if (this.#transcript.db in OPEN_REASONS) return []
    const lines = [...this.#otherLines]
    for (const [key, host] of this.#hosts) {
      if (host === 'damaged') continue
      const { first, pass, expire, bcount, pcount } = host
      if (pcount === -1) lines.push(`TRAPPED|${key}|${expire}`)
      else if (pcount === -2) lines.push(`SPAMTRAP|${key}`)
      else lines.push(`WHITE|${key}|||${first}|${pass}|${expire}|${bcount}|${pcount}`)
    }
    return lines.sort()
  }

  #put(): void {
    const { put, time_base: base } = this.#transcript
    const absolute = (time = 0): number => (Math.abs(time) < 100_000_000 ? base + time : time)
    for (const [operation, key, ...values] of put) {
      if (operation === 'putraw') {
        // Difference: damaged records cannot exist.
        if (!this.#isOurs) this.#hosts.set(key, 'damaged')
        continue
      }
      const [first, pass, expire, bcount = 0, pcount = 0] = values.map(Number)
      const host = { first: absolute(first), pass: absolute(pass), expire: absolute(expire), bcount, pcount }
      const parts = key.split('\n')
      const isAddress = !key.includes('@')
      if (parts.length > 1) {
        const [ip, ...rest] = parts
        const names = rest.length === 2 ? ['', ...rest] : rest
        const times = [host.first, host.pass, host.expire, bcount, pcount]
        this.#otherLines.push(['GREY', ip, ...names, ...times].join('|'))
      } else if (!(this.#isOurs && isAddress && pcount === -2)) {
        // Difference: an address cannot be a SPAMTRAP.
        this.#hosts.set(key, host)
      }
    }
  }

  #log(level: string, text: string): void {
    if (this.#options.isDebug) this.outcome.stderr.push(text)
    else this.outcome.syslog.push(`${level} ${text}`)
  }

  #fail(text: string): number {
    this.outcome.stderr.push(`spamlogd: ${text}`)
    return 1
  }

  /** getopt(3) of the BSDs; the lines of a usage error. */
  #parse(): string[] | undefined {
    const words = [...this.#transcript.argv]
    const usage = (text: string): string[] => [`spamlogd: ${text}`, USAGE]
    while (words[0]?.startsWith('-') === true && words[0] !== '-' && words[0] !== '--') {
      const word = words.shift()!
      // Difference: an unknown long option is named.
      if (word.startsWith('--')) return usage(`unknown option -- ${this.#isOurs ? word.slice(2) : '-'}`)
      const letters = [...word.slice(1)]
      while (letters.length > 0) {
        const letter = letters.shift()!
        if (letter === '-' && letters.length === 0) return undefined
        if (letter === 'D') this.#options.isDebug = true
        else if (letter === 'I') this.#options.isInboundOnly = true
        else if ('ilWY'.includes(letter)) {
          const value = letters.length > 0 ? letters.splice(0).join('') : words.shift()
          if (value === undefined) return usage(`option requires an argument -- ${letter}`)
          const fault = this.#apply(letter, value)
          if (fault !== undefined) return fault.split('\n')
        } else return usage(`unknown option -- ${letter}`)
      }
    }
    if (words[0] === '--') words.shift()
    // Difference: an argument that is not an option is refused.
    const stray = this.#isOurs ? words[0] : undefined
    if (stray === undefined) return undefined
    return [`spamlogd: unexpected argument ${JSON.stringify(stray)}`, USAGE]
  }

  #apply(letter: string, value: string): string | undefined {
    if (letter === 'l') this.#options.device = value
    else if (letter === 'Y') this.#options.targets.push(value)
    else if (letter === 'W') {
      const hours = /^\s*[+-]?[0-9]+$/.test(value) ? Number(value) : 0
      // Difference: a reason precedes the usage.
      const reason = `spamlogd: -W: ${JSON.stringify(value)} is not a number of hours from 1 to 2160\n`
      if (hours < 1 || hours > 2160) return this.#isOurs ? reason + USAGE : USAGE
      this.#options.whiteHours = hours
    } else {
      // Difference: the name never becomes part of a filter, so an impossible name is refused at once.
      const isName = /^[^\s/\0-\x1f\x7f]{1,15}$/.test(value)
      if (this.#isOurs && !isName) return `spamlogd: -i: ${JSON.stringify(value)} is not an interface name`
      this.#options.interfaceName = value
    }
    return undefined
  }

  #captureFault(
    { reason, linkType }: TranscriptCapture,
    filterFault: string | undefined,
  ): number | undefined {
    const missing = this.#transcript.env.PFLOG_PCAP
    const cannot = "couldn't initialize pcap: "
    if (missing !== undefined) {
      const text = 'No such file or directory'
      this.#log('ERR', `Failed to initialize: ${missing}: ${text}`)
      return this.#fail(`${cannot}${text}`)
    }
    // Difference: errno 0 has no text worth printing; the reason of the line before is repeated.
    const repeated = (text: string): number =>
      this.#fail(cannot + (this.#isOurs ? text : 'Undefined error: 0'))
    if (reason !== undefined) {
      this.#log('ERR', `Failed to initialize: ${reason}`)
      return repeated(reason)
    }
    // Difference: NFLOG is a packet log too.
    if (linkType !== 117 && !(linkType === 239 && this.#isOurs)) {
      const name = LINK_TYPES[linkType]
      const number = name === undefined ? linkType : `${linkType} (${name})`
      const ours = `Invalid datalink type ${number}, expected 117 (PFLOG) or 239 (NFLOG)`
      this.#log('ERR', this.#isOurs ? ours : 'Invalid datalink type')
      return repeated(ours)
    }
    if (filterFault !== undefined && !this.#isOurs) {
      this.#log('ERR', filterFault)
      return repeated(filterFault)
    }
    return undefined
  }

  #watch({ records, linkType }: TranscriptCapture, openReason: string | undefined): void {
    const lost = new Set<string>()
    for (const record of linkType === 117 ? records : []) {
      const line = (this.#isOurs ? ourLine : originalLine)(record, this.#options)
      if (line === undefined) continue
      this.#log(line.level, line.text)
      if (line.ip === undefined) continue
      if (openReason === undefined) this.#update(line.ip)
      else if (this.#isOurs) lost.add(line.ip)
      else this.#log('ERR', `Can not open db ${DB}: ${openReason}`)
    }
    // Packets of a replay are read before the database is checked.
    if (this.#isOurs && !this.#options.isDebug && openReason !== undefined) {
      this.#log('WARNING', `Can not open db ${DB}: ${openReason}: keeping updates until it exists`)
    }
    if (lost.size === 0) return
    // Difference: at most one error per minute; the number of sightings that could not be stored is reported at the
    // end.
    this.#log('ERR', `Can not open db ${DB}: ${openReason}`)
    this.#log('ERR', `${lost.size} addresses could not be recorded in ${DB}`)
  }

  #update(ip: string): void {
    const now = this.#transcript.time_base
    const expire = now + this.#options.whiteHours * 3600
    const host = this.#hosts.get(ip)
    if (host === 'damaged') {
      this.#hosts.delete(ip)
      return
    }
    // Difference: a TRAPPED address stays as it is.
    if (this.#isOurs && host?.pcount === -1) return
    if (host === undefined) this.#hosts.set(ip, { first: now, pass: now, expire, bcount: 1, pcount: 0 })
    else this.#hosts.set(ip, { ...host, expire, pcount: host.pcount + 1 })
    this.#announce(ip, now, expire)
  }

  #nameTargets(): void {
    for (const name of this.#options.targets) {
      const address = addressOf(name)
      if (address !== undefined) {
        this.#chatter(`added spam sync host ${name} (address ${address}, port 8025)`)
      }
    }
  }

  #announce(ip: string, now: number, expire: number): void {
    const { targets } = this.#options
    if (targets.length === 0) return
    this.#chatter(`sync white ${ip}`)
    // Version 2 of the protocol has no IPv6.
    if (ip.includes(':')) return
    const message = whiteMessage(this.#transcript.env['@key'], this.#sentCount, { ip, now, expire })
    this.#sentCount += 1
    for (const name of targets.toReversed()) {
      this.#chatter(`sending sync message to ${name} (${addressOf(name)})`)
      this.outcome.sent.push(message)
    }
  }

  #sentCount = 0

  /** Difference: no synchronisation messages without -D. */
  #chatter(line: string): void {
    if (!this.#isOurs || this.#options.isDebug) this.outcome.syncLines.push(line)
  }
}

/** Replaces the only name that every machine knows by its address. */
function addressOf(target: string): string | undefined {
  if (target === 'localhost') return '127.0.0.1'
  return /^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$/.test(target) ? target : undefined
}

function whiteMessage(
  keyFile: string | undefined,
  counter: number,
  entry: { ip: string; now: number; expire: number },
): string {
  const key = keyFile === undefined ? '' : createHash('sha1').update(keyFile, 'latin1').digest('hex')
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0')
  const ip = entry.ip.split('.').map((part) => hex(Number(part), 2))
  const body = `00020010${hex(entry.now, 8)}${hex(entry.expire, 8)}${ip.join('')}00000004`
  const message = Buffer.from(`02020034${hex(counter, 8)}${'00'.repeat(24)}${body}`, 'hex')
  createHmac('sha1', key).update(message).digest().copy(message, 8)
  return message.toString('hex')
}
