/**
 * The pfctl program, working on the tables of `tables.js`: options, device, input, messages and exit codes. Source:
 * pfctl(8); observed behaviour of OpenBSD's pfctl, pfctl.md sections 1, 3, 4, 5 and 8.
 */
import { EMPTY_MACHINE, formatEntry, readAddressText, readToken, toNumber } from './address.js'
import { loadRules, showRules } from './rules.js'
import { showInfo } from './status-text.js'
import * as kernelTables from './tables.js'

const USAGE = `usage: pfctl [-deghNnPqrvz] [-a anchor] [-D macro=value] [-F modifier] [-f file]
\t[-i interface] [-K key] [-k key] [-L statefile] [-o level]
\t[-p device] [-S statefile] [-s modifier [-R id]]
\t[-t table -T command [address ...]] [-V rdomain] [-x level]`

const OPTIONS_WITH_VALUE = 'aDFfiKkLopRsStTVx'
const OPTIONS_WITHOUT_VALUE = 'deghNnPqrvz'
const TABLE_COMMANDS = ['kill', 'flush', 'add', 'delete', 'replace', 'show', 'test', 'zero', 'expire']
const SHOW_MODIFIERS = [
  'queue',
  'rules',
  'Anchors',
  'Sources',
  'states',
  'info',
  'Interfaces',
  'labels',
  'timeouts',
  'memory',
  'Tables',
  'osfp',
  'Running',
  'all',
]
const MAX_TABLE_NAME = 31
/** A limit of this many means no limit. */
const UNLIMITED = 0xffffffff
/** OpenBSD has device nodes for this many descriptors. */
const FD_NODES = 64

const ERROR_TEXTS = {
  ESRCH: 'Table does not exist',
  EPERM: 'Operation not permitted',
  ENOMEM: 'Cannot allocate memory',
  EINVAL: 'Anchor does not exist',
  ENOTTY: 'Inappropriate ioctl for device',
  EBADF: 'Bad file descriptor',
}
const FREEBSD_TEXTS = { ...ERROR_TEXTS, ESRCH: 'Table does not exist.', EINVAL: 'Invalid argument.' }
const LOAD_TEXTS = {
  EINVAL: 'Invalid argument',
  ENOENT: 'No such file or directory',
  EISDIR: 'Is a directory',
}

class Exit extends Error {
  constructor(code) {
    super(String(code))
    this.code = code
  }
}

/** The environment of a run; a real program fills it from the system, a test from a record. */
export function newWorld(parts = {}) {
  return {
    tables: new Map(),
    limits: { 'table-entries': 200_000, tables: 1000 },
    nowSec: 1_700_000_000,
    system: 'openbsd',
    machine: EMPTY_MACHINE,
    hosts: {},
    rules: [],
    isRunning: true,
    /** No name is resolved, not even `localhost`: our programs must never cause a look-up. */
    isStrict: false,
    /** Kind of a device: `ok`, `none` (no permission), `ro`, `missing`, `not-pf`. */
    device: () => 'ok',
    /** Access of an inherited descriptor, `rdonly` or `rdwr`; undefined when closed. */
    descriptor: () => undefined,
    hasFdNodes: true,
    readStdin: () => '',
    /** Returns the text of a file, or throws an error with a `code`. */
    readFile: () => {
      throw Object.assign(new Error('missing'), { code: 'ENOENT' })
    },
    ...parts,
  }
}

/** Runs one call. `exitCode` is null if it would sleep in the kernel. */
export function runPfctl(world, argv) {
  const run = new Run(world, argv)
  let exitCode
  try {
    exitCode = run.main()
  } catch (error) {
    if (error instanceof Exit) exitCode = error.code
    else if (error instanceof kernelTables.KernelSleep) exitCode = null
    else throw error
  }
  const text = (lines) => lines.map((line) => `${line}\n`).join('')
  const { dnsAsked, resolverRefused } = run.resolver
  return {
    exitCode,
    stdout: text(run.stdout),
    stderr: text(run.resolver.stderr),
    opens: run.opens,
    dnsAsked,
    resolverRefused,
  }
}

class Run {
  constructor(world, argv) {
    this.world = world
    this.argv = argv
    this.stdout = []
    this.opens = []
    this.options = new Map()
    this.resolver = {
      machine: world.machine,
      hosts: world.hosts,
      useDns: true,
      isStrict: world.isStrict,
      stderr: [],
      dnsAsked: [],
      resolverRefused: [],
    }
  }

  main() {
    const operands = this.parseOptions()
    const { options } = this
    if (options.has('N') && options.has('r')) {
      this.complain('-N and -r options are mutually exclusive')
      throw new Exit(1)
    }
    this.resolver.useDns = !options.has('N') || this.world.system === 'freebsd'
    const command = this.lookUp('T', TABLE_COMMANDS, 'table command')
    const modifier = this.lookUp('s', SHOW_MODIFIERS, 'show modifier')
    if (options.has('t') !== (command !== undefined)) this.usage()
    if (command === undefined && operands.length > 0) {
      this.complain(`unknown command line argument: ${operands[0]} ...`)
      this.usage()
    }
    if (command !== undefined) return this.tableCommand(command, operands)
    if (!['d', 'e', 'F', 'f', 's'].some((letter) => options.has(letter))) this.usage()
    return this.otherCommand(modifier)
  }

  parseOptions() {
    let index = 0
    for (; index < this.argv.length; index += 1) {
      const word = this.argv[index]
      if (word === '--') {
        index += 1
        break
      }
      if (!word.startsWith('-') || word === '-') break
      for (let at = 1; at < word.length; at += 1) {
        const letter = word[at]
        if (OPTIONS_WITHOUT_VALUE.includes(letter)) {
          if (letter === 'h') this.usage()
          this.options.set(letter, (this.options.get(letter) ?? 0) + 1)
          continue
        }
        if (!OPTIONS_WITH_VALUE.includes(letter)) {
          this.complain(`unknown option -- ${letter}`)
          this.usage()
        }
        let value = word.slice(at + 1)
        if (value === '') {
          index += 1
          if (index >= this.argv.length) {
            this.complain(`option requires an argument -- ${letter}`)
            this.usage()
          }
          value = this.argv[index]
        }
        this.options.set(letter, value)
        // Checked in order, so the first bad one is named.
        if (letter === 'T') this.lookUp('T', TABLE_COMMANDS, 'table command')
        if (letter === 's') this.lookUp('s', SHOW_MODIFIERS, 'show modifier')
        break
      }
    }
    return this.argv.slice(index)
  }

  lookUp(letter, words, kind) {
    const value = this.options.get(letter)
    if (value === undefined) return undefined
    const found = value === '' ? undefined : words.find((word) => word.startsWith(value))
    if (found !== undefined) return found
    this.complain(`Unknown ${kind} '${value}'`)
    return this.usage()
  }

  complain(text) {
    this.resolver.stderr.push(`pfctl: ${text}`)
  }

  usage() {
    this.resolver.stderr.push(...USAGE.split('\n'))
    throw new Exit(1)
  }

  fail(code) {
    if (this.isSilent) throw new Exit(255)
    this.complain((this.world.system === 'freebsd' ? FREEBSD_TEXTS : ERROR_TEXTS)[code])
    throw new Exit(255)
  }

  note(text) {
    if (this.options.has('q')) return
    this.resolver.stderr.push(`${text}${this.options.has('n') ? ` (${this.dryWord})` : ''}.`)
  }

  get dryWord() {
    return this.hasDevice ? 'dummy' : 'syntax only'
  }

  get isDry() {
    return this.options.has('n')
  }

  get verbosity() {
    return this.options.get('v') ?? 0
  }

  /** Opens the device; in a dry run, a failure is ignored. */
  openDevice(isWrite) {
    const path = this.options.get('p') ?? '/dev/pf'
    const access = isWrite ? 'rdwr' : 'rdonly'
    this.opens.push(`${path} ${access}`)
    const fault = this.deviceFault(path, isWrite)
    this.hasDevice = fault === undefined
    if (this.hasDevice || this.isDry) return
    this.complain(`${path}: ${fault}`)
    throw new Exit(1)
  }

  deviceFault(path, isWrite) {
    const fd = /^\/dev\/fd\/([0-9]+)$/.exec(path)?.[1]
    if (fd !== undefined) {
      const isNode = Number(fd) < FD_NODES && (this.world.hasFdNodes || Number(fd) <= 2)
      if (!isNode) return 'No such file or directory'
      const access = this.world.descriptor(Number(fd))
      if (access === undefined) return 'Bad file descriptor'
      if (access === 'not-pf') {
        this.isOtherDevice = true
        return undefined
      }
      return isWrite && access === 'rdonly' ? 'Permission denied' : undefined
    }
    const kind = this.world.device(path)
    this.isOtherDevice = kind === 'not-pf'
    if (kind === 'missing') return 'No such file or directory'
    return kind === 'none' || (kind === 'ro' && isWrite) ? 'Permission denied' : undefined
  }

  tableCommand(command, operands) {
    const isReader = command === 'show' || command === 'test'
    this.openDevice(!isReader && !this.isDry)
    const name = this.options.get('t')
    if (Buffer.byteLength(name) > MAX_TABLE_NAME) this.usage()
    const file = this.options.get('f')
    const takesNone = ['show', 'flush', 'kill'].includes(command)
    if (takesNone && (operands.length > 0 || file !== undefined)) this.usage()
    if (command === 'expire') return this.guard(() => this.expire(operands, file))
    const given = this.options.get('a')
    // For requests that only read, a trailing asterisk means "and below", and failures are not reported.
    this.isSilent = isReader && given?.endsWith('*') === true
    const anchor = this.isSilent ? given.replace(/\/?\*$/, '') : given
    this.tableName = anchor === undefined || anchor === '' ? name : `${name}@${anchor}`
    return this.guard(() => this[command](this.loadAddresses(operands, file, command === 'test')))
  }

  guard(work) {
    try {
      return work()
    } catch (error) {
      if (error instanceof kernelTables.KernelError) this.fail(error.code)
      throw error
    }
  }

  /** With a device that is not pf, or without one in a dry run, the first request fails. */
  needPf() {
    if (this.isOtherDevice) this.fail('ENOTTY')
    if (!this.hasDevice) this.fail('EBADF')
  }

  loadAddresses(operands, file, isHostsOnly) {
    const addresses = []
    for (const operand of operands) {
      const read = readToken(this.resolver, operand, isHostsOnly)
      if ('fault' in read) {
        if (read.fault === 'EINVAL') this.complain(`cannot decode ${operand}: ${LOAD_TEXTS.EINVAL}`)
        throw new Exit(255)
      }
      addresses.push(...read.addresses)
    }
    if (file === undefined) return addresses
    const isStdin = file === '-' || file === '/dev/stdin'
    let text
    try {
      text = isStdin ? this.world.readStdin() : this.world.readFile(file)
    } catch (error) {
      this.complain(`cannot load ${file}: ${LOAD_TEXTS[error.code] ?? error.code}`)
      throw new Exit(255)
    }
    const read = readAddressText(this.resolver, text, isHostsOnly)
    if ('addresses' in read) return [...addresses, ...read.addresses]
    const noReason = this.world.system === 'freebsd' ? 'No error: 0' : 'Undefined error: 0'
    this.complain(`cannot load ${file}: ${LOAD_TEXTS[read.fault] ?? noReason}`)
    throw new Exit(255)
  }

  /** First half of add and replace; false when a dry run ends here. */
  create() {
    if (this.isOtherDevice || !this.hasDevice) {
      this.complain(`pfr_get_tables: ${ERROR_TEXTS[this.isOtherDevice ? 'ENOTTY' : 'EBADF']}`)
      throw new Exit(1)
    }
    const name = this.tableName.split('@')[0]
    for (const [other, table] of this.world.tables) {
      const [otherName, anchor = '/'] = other.split('@')
      if (otherName === name && other !== this.tableName && kernelTables.isActive(table))
        this.resolver.stderr.push(`warning: table <${name}> already defined in anchor "${anchor}"`)
    }
    const isNew = kernelTables.createTable(this.world, this.tableName, this.isDry)
    if (isNew) this.note('1 table created')
    return !(isNew && this.isDry)
  }

  list(feedback) {
    for (const each of feedback) {
      const isChange = each.feedback !== 'none' && each.feedback !== 'notMatch'
      if (this.verbosity >= 2 || (this.verbosity === 1 && isChange))
        this.stdout.push(kernelTables.feedbackLine(each) + this.nameOf(each.address))
    }
  }

  add(addresses) {
    if (!this.create()) return 0
    const { count, feedback } = kernelTables.addAddresses(this.world, this.tableName, addresses, this.isDry)
    this.note(`${count}/${addresses.length} addresses added`)
    // Listed in reverse order; the sign of a negated entry also applies to those after it.
    let isNegated = false
    for (const each of feedback.reverse()) {
      isNegated ||= each.address.not
      if (this.verbosity >= 2 || (this.verbosity === 1 && each.feedback !== 'none'))
        this.stdout.push(kernelTables.feedbackLine(each, isNegated) + this.nameOf(each.address))
    }
    return 0
  }

  delete(addresses) {
    if (!this.hasDevice) {
      this.note(`0/${addresses.length} addresses deleted`)
      return 0
    }
    this.needPf()
    const { count, feedback } = kernelTables.deleteAddresses(
      this.world,
      this.tableName,
      addresses,
      this.isDry,
    )
    this.note(`${count}/${addresses.length} addresses deleted`)
    this.list(feedback)
    return 0
  }

  replace(addresses) {
    if (!this.create()) return 0
    const done = kernelTables.setAddresses(this.world, this.tableName, addresses, this.isDry)
    for (const kind of ['added', 'deleted', 'changed'])
      if (done[kind] > 0) this.note(`${done[kind]} addresses ${kind}`)
    if (done.added + done.deleted + done.changed === 0) this.note('no changes')
    this.list(done.feedback)
    return 0
  }

  show() {
    this.needPf()
    if (this.isDry && this.verbosity === 0) this.fail('EINVAL')
    for (const entry of kernelTables.listEntries(this.world, this.tableName)) {
      this.stdout.push(
        `  ${entry.not ? '!' : ' '}${formatEntry({ ...entry, not: false })}${this.nameOf(entry)}`,
      )
      if (this.verbosity > 0) this.stdout.push(`\tCleared:     ${ctime(entry.clearedAt)}`)
    }
    return 0
  }

  /** With -r, a tab and the name of the host, if it has one. */
  nameOf(address) {
    if (!this.options.has('r') || address.length !== (address.family === 4 ? 32 : 128)) return ''
    const text = formatEntry({ ...address, not: false })
    const name = Object.keys(this.world.hosts).find((host) => this.world.hosts[host].includes(text))
    return name === undefined ? '' : `\t(${name})`
  }

  flush() {
    this.needPf()
    const count = kernelTables.flushTable(this.world, this.tableName, this.isDry)
    this.note(`${count} addresses deleted`)
    return 0
  }

  kill() {
    this.needPf()
    this.note(`${kernelTables.killTable(this.world, this.tableName, this.isDry)} table deleted`)
    return 0
  }

  test(addresses) {
    this.needPf()
    if (this.isDry) this.fail('EINVAL')
    const { count, feedback } = kernelTables.testAddresses(this.world, this.tableName, addresses)
    this.note(`${count}/${addresses.length} addresses match`)
    for (const each of feedback) {
      const line = kernelTables.feedbackLine(each)
      if (this.verbosity >= 2) {
        const { holder } = each
        const shown =
          holder === undefined
            ? ' nomatch'
            : `${holder.not ? '!' : ' '}${formatEntry({ ...holder, not: false })}`
        this.stdout.push(`${line}\t${shown}${this.nameOf(each.address)}`)
      } else if (this.verbosity === 1 && each.feedback === 'match')
        this.stdout.push(line + this.nameOf(each.address))
    }
    return count < addresses.length ? 2 : 0
  }

  zero(addresses) {
    this.needPf()
    if (addresses.length === 0) {
      this.note(`${kernelTables.zeroTable(this.world, this.tableName, this.isDry)} table/stats cleared`)
      return 0
    }
    const { count, feedback } = kernelTables.zeroAddresses(this.world, this.tableName, addresses, this.isDry)
    this.note(`${count}/${addresses.length} addresses cleared`)
    this.list(feedback)
    return 0
  }

  expire(operands, file) {
    const anchor = this.options.get('a')
    this.tableName = anchor === undefined ? this.options.get('t') : `${this.options.get('t')}@${anchor}`
    if (operands.length !== 1 || file !== undefined) this.usage()
    const { value, fault } = toNumber(operands[0], 0, 0xffffffff)
    if (fault !== undefined) {
      this.complain(`expiry time: ${fault}`)
      throw new Exit(1)
    }
    this.needPf()
    const old = kernelTables
      .listEntries(this.world, this.tableName)
      .filter((entry) => this.world.nowSec - entry.clearedAt > value)
    const { count, feedback } = kernelTables.deleteAddresses(this.world, this.tableName, old, this.isDry)
    this.note(`${count}/${old.length} addresses expired`)
    this.list(feedback)
    return 0
  }

  otherCommand(modifier) {
    const { options, world } = this
    this.openDevice(!this.isDry && ['d', 'e', 'F', 'f'].some((letter) => options.has(letter)))
    if (options.has('d')) this.switchPf(false)
    if (modifier !== undefined) this.showStatus(modifier)
    if (options.has('F')) this.flushAll(options.get('F'))
    if (options.has('f') && !this.isDry) loadRules(world, world.readFile(options.get('f')), world.readFile)
    if (options.has('e')) this.switchPf(true)
    return 0
  }

  switchPf(isOn) {
    if (this.world.isRunning === isOn) {
      this.complain(isOn ? 'pf already enabled' : 'pf not enabled')
      throw new Exit(1)
    }
    this.world.isRunning = isOn
    if (!this.options.has('q')) this.resolver.stderr.push(isOn ? 'pf enabled' : 'pf disabled')
  }

  flushAll(modifier) {
    if (modifier !== 'Tables' && modifier !== 'all') return
    const active = [...this.world.tables].filter(([, table]) => kernelTables.isActive(table))
    for (const [name] of active) kernelTables.killTable(this.world, name, this.isDry)
    this.note(`${active.length} tables deleted`)
  }

  showStatus(modifier) {
    const { world, options } = this
    if (modifier === 'Tables') this.showTables()
    else if (modifier === 'memory') this.showMemory()
    else if (modifier === 'rules')
      this.stdout.push(...showRules(world, { verbosity: this.verbosity, hasServiceNames: options.has('P') }))
    else if (modifier === 'info') this.stdout.push(...showInfo(world.isRunning, this.verbosity))
  }

  showTables() {
    const anchor = this.options.get('a')
    const shown = [...this.world.tables]
      .filter(([name]) => isInAnchor(name, anchor))
      .filter(([, table]) => kernelTables.isActive(table) || this.options.has('g'))
      .sort(([left], [right]) => (left < right ? -1 : 1))
    for (const [name, table] of shown) {
      this.stdout.push(this.verbosity > 0 ? `${kernelTables.listedFlags(this.world, name)}\t${name}` : name)
      if (this.verbosity > 1) this.stdout.push(...statistics(this.world, name, table))
    }
  }

  showMemory() {
    const limits = {
      states: 100_000,
      'src-nodes': undefined,
      frags: 65_536,
      tables: 1000,
      'table-entries': 200_000,
      'pktdelay-pkts': 10_000,
      anchors: 512,
    }
    for (const [name, value] of Object.entries({ ...limits, ...this.world.limits })) {
      const isLimited = typeof value === 'number' && value < UNLIMITED
      const shown = !isLimited ? 'unlimited' : `hard limit ${String(value).padStart(8)}`
      this.stdout.push(`${name.padEnd(13)} ${shown}`)
    }
  }
}

/** True for a table of this anchor (none: outside anchors); `foo/*` and `*` mean all below as well. */
function isInAnchor(name, anchor) {
  const place = name.split('@')[1] ?? ''
  if (anchor === undefined || !anchor.endsWith('*')) return place === (anchor ?? '')
  const top = anchor.replace(/\/?\*$/, '')
  return top === '' || place === top || place.startsWith(`${top}/`)
}

/** The lines that -vv prints below a table: no packet has matched it. */
function statistics(world, name, table) {
  const pair = (one, first, other, second) =>
    `[ ${one}: ${String(first).padEnd(18)} ${other}: ${String(second).padEnd(18)} ]`
  const anchorCount = [...world.tables.keys()].filter((other) => other.startsWith(`${name}@`)).length
  const ruleCount = world.rules.filter((rule) => rule.includes(`<${name}>`)).length
  const directions = ['In', 'Out'].flatMap((direction) =>
    ['Block', 'Match', 'Pass', 'XPass'].map((operation) => `${direction}/${operation}:`),
  )
  return [
    `\tAddresses:   ${table.entries.length}`,
    `\tCleared:     ${ctime(table.clearedAt ?? world.nowSec)}`,
    `\tReferences:  ${pair('Anchors', anchorCount, 'Rules', ruleCount)}`,
    `\tEvaluations: ${pair('NoMatch', 0, 'Match', 0)}`,
    ...directions.map((text) => `\t${text.padEnd(12)} ${pair('Packets', 0, 'Bytes', 0)}`),
  ]
}

/** ctime(3) in UTC, without its line feed. */
function ctime(seconds) {
  const [, day, month, date, year, time] =
    /^(\w+), (\d+) (\w+) (\d+) ([\d:]+)/
      .exec(new Date(seconds * 1000).toUTCString())
      ?.reduceRight((parts, part, index) => {
        parts[[0, 1, 3, 2, 4, 5][index]] = part
        return parts
      }, []) ?? []
  return `${day} ${month} ${String(Number(date)).padStart(2)} ${time} ${year}`
}
