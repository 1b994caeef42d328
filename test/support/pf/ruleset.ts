/**
 * The part of pf.conf(5) that the examples use, parsed strictly: anything else is an error. Sources: pf.conf(5) of
 * OpenBSD 7.7 and FreeBSD 14 and 15.
 */

/** The system of the pf.conf: they differ in the place of translation rules and in the meaning of divert-to. */
export type Dialect = 'openbsd' | 'freebsd14' | 'freebsd15'

/** Addresses of a rule: any, or some of these items (`<table>`, CIDR, interface, `(interface)`, `interface:network`). */
export type AddressSpec = 'any' | readonly string[]

export interface PfTarget {
  address: string
  port: string | undefined
}

/** One rule, its lists not expanded. */
export interface PfRule {
  line: number
  action: 'pass' | 'block' | 'match' | 'rdr' | 'no rdr' | 'nat'
  /** `rdr pass`: the filter rules are skipped. */
  skipsFilter: boolean
  direction: 'in' | 'out' | undefined
  isQuick: boolean
  /** The device to which the packet is logged. */
  log: string | undefined
  interfaces: readonly string[] | undefined
  family: 'inet' | 'inet6' | undefined
  protocol: string | undefined
  from: AddressSpec
  to: AddressSpec
  toPort: string | undefined
  tag: string | undefined
  tagged: string | undefined
  divertTo: PfTarget | undefined
  rdrTo: PfTarget | undefined
}

export interface PfRuleset {
  dialect: Dialect
  rules: readonly PfRule[]
  /** Every table, with the file from which it is filled. */
  tables: ReadonlyMap<string, string | undefined>
  options: readonly string[]
}

const PORTS: Readonly<Record<string, string>> = { smtp: '25', ssh: '22' }

/**
 * Parses a whole file; throws an `Error` with the line for anything that this pf would refuse or this parser does not
 * know.
 */
export function parsePfConf(text: string, dialect: Dialect): PfRuleset {
  const macros = new Map<string, string>()
  const tables = new Map<string, string | undefined>()
  const options: string[] = []
  const rules: PfRule[] = []
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.replace(/#.*/, '').trim()
    if (line === '') continue
    const fail = (why: string): never => {
      throw new Error(`line ${index + 1}: ${why}: ${raw}`)
    }
    const macro = /^([A-Za-z0-9_]+)\s*=\s*"([^"]*)"$/.exec(line)
    if (macro !== null) {
      macros.set(macro[1]!, macro[2]!)
      continue
    }
    const expanded = line.replace(
      /\$([A-Za-z0-9_]+)/g,
      (_, name: string) => macros.get(name) ?? fail('no macro'),
    )
    const words = expanded.match(/"[^"]*"|<[^>]*>|\([^)]*\)|[{},]|->|[^\s{},]+/g)!
    const cursor = new Cursor(words, fail)
    if (cursor.take('table')) readTable(cursor, tables)
    else if (cursor.take('set')) options.push(cursor.rest())
    else rules.push(readRule(cursor, dialect, index + 1))
  }
  for (const rule of rules) {
    for (const item of [rule.from, rule.to].flat()) {
      if (item.startsWith('<') && !tables.has(item.slice(1, -1)))
        throw new Error(`line ${rule.line}: no table ${item}`)
    }
  }
  return { dialect, rules, tables, options }
}

class Cursor {
  #position = 0
  readonly #words: readonly string[]
  readonly fail: (why: string) => never

  constructor(words: readonly string[], fail: (why: string) => never) {
    this.#words = words
    this.fail = fail
  }

  get word(): string | undefined {
    return this.#words[this.#position]
  }

  take(...wanted: string[]): string | undefined {
    const { word } = this
    if (word === undefined || !wanted.includes(word)) return undefined
    this.#position += 1
    return word
  }

  next(what: string): string {
    const { word } = this
    if (word === undefined) return this.fail(`${what} is missing`)
    this.#position += 1
    return word
  }

  /** One item, or those of a list in braces. */
  list(what: string): string[] {
    if (!this.take('{')) return [this.next(what)]
    const items: string[] = []
    while (!this.take('}')) {
      if (!this.take(',')) items.push(this.next(what))
    }
    return items
  }

  rest(): string {
    return this.#words.slice(this.#position).join(' ')
  }
}

function readTable(cursor: Cursor, tables: Map<string, string | undefined>): void {
  const name = cursor.next('the name').slice(1, -1)
  if (!cursor.take('persist')) cursor.fail('a table that nothing keeps')
  tables.set(name, cursor.take('file') ? cursor.next('the file').slice(1, -1) : undefined)
  if (cursor.word !== undefined) cursor.fail('not known')
}

function readAction(cursor: Cursor, dialect: Dialect): Pick<PfRule, 'action' | 'skipsFilter'> {
  const isOld = dialect !== 'openbsd'
  if (isOld && cursor.take('no')) {
    cursor.take('rdr') ?? cursor.fail('syntax error')
    return { action: 'no rdr', skipsFilter: false }
  }
  if (isOld && cursor.take('rdr')) return { action: 'rdr', skipsFilter: cursor.take('pass') !== undefined }
  if (isOld && cursor.take('nat')) return { action: 'nat', skipsFilter: false }
  const action = cursor.take('pass', 'block', 'match') ?? cursor.fail('syntax error')
  return { action: action as 'pass' | 'block' | 'match', skipsFilter: false }
}

function readRule(cursor: Cursor, dialect: Dialect, line: number): PfRule {
  const rule: PfRule = {
    ...readAction(cursor, dialect),
    line,
    direction: undefined,
    isQuick: false,
    log: undefined,
    interfaces: undefined,
    family: undefined,
    protocol: undefined,
    from: 'any',
    to: 'any',
    toPort: undefined,
    tag: undefined,
    tagged: undefined,
    divertTo: undefined,
    rdrTo: undefined,
  }
  if (cursor.take('return')) void 0
  rule.direction = cursor.take('in', 'out') as 'in' | 'out' | undefined
  if (cursor.take('log')) {
    const device = /^\(to (\S+)\)$/.exec(cursor.word ?? '')
    if (device !== null) cursor.next('the device')
    rule.log = device?.[1] ?? 'pflog0'
  }
  rule.isQuick = cursor.take('quick') !== undefined
  if (cursor.take('on')) rule.interfaces = cursor.list('the interface')
  rule.family = cursor.take('inet', 'inet6') as 'inet' | 'inet6' | undefined
  if (cursor.take('proto')) rule.protocol = cursor.next('the protocol')
  if (cursor.take('from')) rule.from = readAddresses(cursor)
  if (cursor.take('to')) {
    if (cursor.word !== 'port') rule.to = readAddresses(cursor)
    if (cursor.take('port')) rule.toPort = readPort(cursor)
  }
  readOptions(cursor, dialect, rule)
  return rule
}

function readAddresses(cursor: Cursor): AddressSpec {
  const items = cursor.list('an address')
  return items.includes('any') ? 'any' : items
}

function readPort(cursor: Cursor): string {
  const word = cursor.next('the port')
  return PORTS[word] ?? (/^[0-9]+$/.test(word) ? word : cursor.fail('no such port'))
}

function readTarget(cursor: Cursor): PfTarget {
  const address = cursor.next('the target')
  return { address, port: cursor.take('port') ? readPort(cursor) : undefined }
}

function readOptions(cursor: Cursor, dialect: Dialect, rule: PfRule): void {
  const canTranslate = dialect !== 'freebsd14' && ['pass', 'match'].includes(rule.action)
  while (cursor.word !== undefined) {
    if (cursor.take('icmp-type', 'flags', 'label')) cursor.next('a word')
    else if (cursor.take('keep')) cursor.take('state') ?? cursor.fail('syntax error')
    else if (cursor.take('tag')) rule.tag = cursor.next('the tag')
    else if (cursor.take('tagged')) rule.tagged = cursor.next('the tag')
    else if (cursor.take('divert-to')) rule.divertTo = readTarget(cursor)
    else if (canTranslate && cursor.take('rdr-to')) rule.rdrTo = readTarget(cursor)
    else if (canTranslate && cursor.take('nat-to')) cursor.next('the address')
    else if (rule.action === 'rdr' && cursor.take('->')) rule.rdrTo = readTarget(cursor)
    else if (rule.action === 'nat' && cursor.take('->')) cursor.next('the address')
    else cursor.fail('not known')
  }
}
