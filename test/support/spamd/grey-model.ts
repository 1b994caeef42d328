/**
 * Predicts what the greylister records and logs, by greylisting.md with its recommended corrections: a trap needs a
 * SPAMTRAP entry and lasts trapexp from the last hit, promotion happens at the retry and removes the tuple, and IPv6
 * is supported. Times are seconds from the start of the transcript.
 */
export interface GreyModelOptions {
  passSec: number
  greyExpireSec: number
  whiteExpireSec: number
  trapExpireSec: number
  /** Undefined: any domain. */
  allowedSuffixes: string[] | undefined
  /** Arguments of -M. */
  lowPriorityMx?: readonly string[]
}

/** Seconds after the start during which -M has no effect. */
const MX_GRACE_SEC = 60

interface Times {
  first: number
  pass: number
  expire: number
  bcount: number
  pcount: number
  /** When the original removes the entry, if not at `expire`. */
  originalExpire?: number
}

/** The lines that an event makes the daemon print (-d) and log; scan lines are those of promotions. */
export interface GreyLines {
  out: string[]
  syslog: string[]
  scanOut: string[]
  scanSyslog: string[]
}

const EPOCH = 1_700_000_000

export class GreyModel {
  readonly hosts = new Map<string, Times>()
  readonly tuples = new Map<string, Times>()
  readonly spamtraps = new Set<string>()
  /** Names of the differences from the original that applied. */
  readonly differences = new Set<
    | 'label-boundary'
    | 'trap-needs-spamtrap'
    | 'promoted-at-retry'
    | 'expired-anew'
    | 'trap-time'
    | 'mx-spares-promoted'
  >()
  /** Tuples that only the original still has, and when it removes them. */
  readonly #promotedTuples = new Map<string, number>()
  /** Addresses that the original makes WHITE only at its next scan. */
  readonly #promotedSinceScan = new Set<string>()
  readonly #options: GreyModelOptions
  readonly #database: string
  readonly #isListed: (ip: string) => boolean

  constructor(options: GreyModelOptions, database: string, isListed: (ip: string) => boolean) {
    this.#options = options
    this.#database = database
    this.#isListed = isListed
  }

  /** One RCPT of a client that is on no list when it is recorded; `destination` undefined: received from a peer. */
  submit(ip: string, helo: string, from: string, to: string, now: number, destination?: string): GreyLines {
    const lines = emptyLines()
    if (helo === '' || [helo, from, to].some((text) => /[\0-\x1f\x7f]/.test(text))) return lines
    lines.out.push(`Got Grey HELO ${helo}, IP ${ip} from ${from} to ${to}`)
    const key = [ip, helo, from, to].join('\n')
    const about = `${ip} from ${from} to ${to}, helo ${helo}`
    const isTrapped = this.#isTrap(to)
    if ((this.#promotedTuples.get(key) ?? now) > now) this.differences.add('promoted-at-retry')
    const isMxTrap = !this.tuples.has(key) && this.#isMxTrap(key, ip, destination, now)
    if (isTrapped || isMxTrap) {
      const known = this.hosts.get(ip)
      const why = isTrapped ? 'tuple' : `trying ${destination} first for tuple`
      lines.syslog.push(`DEBUG Trapping ${ip} for ${why} ${key.replaceAll('\n', '\\x0a')}`)
      if (this.#promotedSinceScan.has(ip)) this.differences.add('promoted-at-retry')
      if (known === undefined || !isTrapped) {
        lines.syslog.push(`DEBUG new greytrap entry ${about}`)
        lines.out.push(`added greytrap entry for ${ip}`)
      } else lines.out.push(`updated ${ip}`)
      const { trapExpireSec } = this.#options
      this.hosts.set(ip, {
        first: known?.first ?? now,
        pass: now + trapExpireSec,
        expire: now + trapExpireSec,
        bcount: (known?.bcount ?? 0) + 1,
        pcount: -1,
        ...(known === undefined || !isTrapped
          ? {}
          : { originalExpire: known.originalExpire ?? known.expire }),
      })
      return lines
    }
    const tuple = this.tuples.get(key)
    if (tuple === undefined || tuple.expire <= now) {
      if (tuple !== undefined) this.differences.add('expired-anew')
      const expire = now + this.#options.greyExpireSec
      this.tuples.set(key, { first: now, pass: expire, expire, bcount: 1, pcount: 0 })
      lines.syslog.push(`DEBUG new entry ${about}`)
      lines.out.push(...`added  ${key}`.split('\n'))
      return lines
    }
    tuple.bcount += 1
    tuple.pcount = 0
    lines.out.push(...`updated ${key}`.split('\n'))
    if (tuple.first + this.#options.passSec < now) {
      tuple.pass = now
      this.#promote(key, tuple, now, lines)
    }
    return lines
  }

  /** A whole scan; returns its lines. */
  scan(now: number): GreyLines {
    const lines = emptyLines()
    this.#promotedSinceScan.clear()
    for (const host of this.hosts.values()) {
      if ((host.originalExpire ?? host.expire) <= now !== host.expire <= now)
        this.differences.add('trap-time')
    }
    for (const table of [this.tuples, this.hosts]) {
      for (const [key, times] of table) {
        if (times.expire > now || times.expire === -EPOCH) continue
        table.delete(key)
        lines.scanSyslog.push(`DEBUG queueing deletion of ${key.replaceAll('\n', '\\x0a')}`)
      }
    }
    for (const [key, tuple] of this.tuples) if (tuple.pass <= now) this.#promote(key, tuple, now, lines)
    for (const [ip, host] of this.hosts) {
      if (host.pcount === -1 || host.pass > now) continue
      if (this.#isListed(ip)) {
        this.hosts.delete(ip)
        lines.scanSyslog.push(
          `DEBUG ${ip} blacklisted, removing from whitelist`,
          `DEBUG queueing deletion of ${ip}`,
        )
      } else lines.scanOut.push(`whitelisted ${ip}`)
    }
    return lines
  }

  /** A tuple of the address was removed at its promotion: the original still has it, and promotes by it again. */
  hasPromotedTuple(ip: string): boolean {
    return [...this.#promotedTuples.keys()].some((key) => key.startsWith(`${ip}\n`))
  }

  /** White addresses as in the packet filter's table. */
  whiteTable(now: number): string[] {
    return [...this.hosts]
      .filter(([, host]) => host.pcount !== -1 && host.pass <= now)
      .map(([ip]) => `${ip}/${ip.includes(':') ? 128 : 32}`)
      .sort()
  }

  trapped(): string[] {
    return [...this.hosts].filter(([, host]) => host.pcount === -1).map(([ip]) => ip)
  }

  /** The lines of `spamdb`, sorted, times as `{T+n}`. */
  listing(): string[] {
    const time = (seconds: number): string =>
      /^1[67][0-9]{8}$/.test(String(seconds + EPOCH))
        ? `{T${seconds < 0 ? '' : '+'}${seconds}}`
        : String(seconds + EPOCH)
    const times = (entry: Times): string =>
      [time(entry.first), time(entry.pass), time(entry.expire), entry.bcount, entry.pcount].join('|')
    return [
      ...[...this.hosts].map(([ip, host]) =>
        host.pcount === -1 ? `TRAPPED|${ip}|${time(host.expire)}` : `WHITE|${ip}|||${times(host)}`,
      ),
      ...[...this.spamtraps].map((address) => `SPAMTRAP|${address}`),
      ...[...this.tuples].map(([key, tuple]) => `GREY|${key.replaceAll('\n', '|')}|${times(tuple)}`),
    ].sort()
  }

  #promote(key: string, tuple: Times, now: number, lines: GreyLines): void {
    const [ip = ''] = key.split('\n')
    const host = this.hosts.get(ip)
    if (host?.pcount === -1 || this.#isListed(ip)) return
    this.tuples.delete(key)
    this.#promotedTuples.set(key, tuple.expire)
    lines.scanOut.push(`whitelisted ${ip}`)
    if (host === undefined) {
      this.#promotedSinceScan.add(ip)
      lines.scanSyslog.push(`DEBUG queueing add of ${ip}`, `DEBUG whitelisting ${ip} in ${this.#database}`)
      this.hosts.set(ip, { ...tuple, pcount: 0, expire: now + this.#options.whiteExpireSec })
    }
  }

  /** True if the low-priority MX is the first to see a tuple that is not on record. */
  #isMxTrap(key: string, ip: string, destination: string | undefined, now: number): boolean {
    if (!this.#isLowPriorityMx(destination, now)) return false
    if ((this.#promotedTuples.get(key) ?? now) > now) return false
    const host = this.hosts.get(ip)
    const { passSec, greyExpireSec } = this.#options
    const isSpared =
      host !== undefined &&
      host.pcount !== -1 &&
      host.first + passSec < host.pass &&
      now < host.first + greyExpireSec
    if (isSpared) this.differences.add('mx-spares-promoted')
    return !isSpared
  }

  #isLowPriorityMx(destination: string | undefined, now: number): boolean {
    return (
      destination !== undefined &&
      now > MX_GRACE_SEC &&
      this.#options.lowPriorityMx?.includes(destination) === true
    )
  }

  #isTrap(to: string): boolean {
    const key = to
      .replace(/^</, '')
      .slice(0, 1023)
      .replace(/>$/, '')
      .replace(/[A-Z]/g, (c) => c.toLowerCase())
    if (this.spamtraps.has(key)) return true
    if (this.hosts.has(key)) this.differences.add('trap-needs-spamtrap')
    const suffixes = this.#options.allowedSuffixes
    if (suffixes === undefined || suffixes.length === 0) return false
    return !suffixes.some((written) => {
      const suffix = written.toLowerCase()
      if (!key.endsWith(suffix)) return false
      const before = key.at(-suffix.length - 1)
      const isAtBorder = /^[@.]/.test(suffix) || before === undefined || before === '@' || before === '.'
      if (!isAtBorder) this.differences.add('label-boundary')
      return isAtBorder
    })
  }
}

function emptyLines(): GreyLines {
  return { out: [], syslog: [], scanOut: [], scanSyslog: [] }
}
