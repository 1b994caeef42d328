/**
 * The kernel's part of pf tables: what each request changes, refuses and returns. Source: observed behaviour of
 * OpenBSD's pfctl over its own kernel table code, pfctl.md sections 3 to 7.
 */
import { formatEntry } from './address.js'

/**
 * @typedef {import('./address.js').Address & { clearedAt: number }} Entry
 * @typedef {{ flags: string, entries: Entry[] }} Table
 * @typedef {{ tables: Map<string, Table>, limits: Record<string, number>, nowSec: number, system: string }} Kernel
 */

/** Letters of feedback lines; NONE and NOTMATCH are blanks. */
const FEEDBACK = {
  none: ' ',
  match: 'M',
  added: 'A',
  deleted: 'D',
  changed: 'C',
  cleared: 'Z',
  duplicate: 'X',
  notMatch: ' ',
  conflict: 'Y',
}

/** Maximum number of elements in one request of FreeBSD. Source: net.pf.request_maxcount. */
const FREEBSD_MAX_REQUEST = 65_535

export class KernelError extends Error {
  constructor(code) {
    super(code)
    this.code = code
  }
}

/** Thrown if the call would sleep in the kernel forever. */
export class KernelSleep extends Error {}

/** Key of an entry, which also gives the kernel's order: family, address, length. */
const keyOf = ({ family, bytes, length }) => String.fromCharCode(family, ...bytes, length)

const isZeroHost = ({ family, bytes, length }) =>
  length === (family === 4 ? 32 : 128) && bytes.every((byte) => byte === 0)

/** IPv4 before IPv6, ascending, a shorter prefix first. */
export const sortEntries = (entries) =>
  entries
    .map((entry) => ({ entry, key: keyOf(entry) }))
    .sort((left, right) => (left.key < right.key ? -1 : left.key > right.key ? 1 : 0))
    .map(({ entry }) => entry)

/** Flags as listed: a table outside anchors shows `h` if a table in an anchor has the same name. */
export function listedFlags(kernel, name) {
  const { flags } = kernel.tables.get(name)
  const isHidden =
    !name.includes('@') && [...kernel.tables.keys()].some((other) => other.startsWith(`${name}@`))
  return isHidden ? `${flags.slice(0, 5)}h${flags.slice(6)}` : flags
}

export const isActive = (table) => table !== undefined && table.flags[2] === 'a'

function needName(name) {
  if (name.split('@')[0] === '') throw new KernelError('EINVAL')
}

function activeTable(kernel, name) {
  needName(name)
  const table = kernel.tables.get(name)
  if (!isActive(table)) throw new KernelError('ESRCH')
  return table
}

function writableTable(kernel, name) {
  const table = activeTable(kernel, name)
  if (table.flags[0] === 'c') throw new KernelError('EPERM')
  return table
}

const totalEntries = (kernel) =>
  [...kernel.tables.values()].reduce((sum, table) => sum + table.entries.length, 0)

/** Every change temporarily uses an additional table. */
function needTableSlot(kernel) {
  if (kernel.tables.size + 1 > kernel.limits.tables) throw new KernelError('ENOMEM')
}

/** Creates a table or activates an inactive one; returns true if it is new. */
export function createTable(kernel, name, isDry) {
  needName(name)
  const present = kernel.tables.get(name)
  if (isActive(present)) return false
  // A new table and the root table of its name are allocated together, even if the second one is not needed.
  if (present === undefined && kernel.tables.size + 2 > kernel.limits.tables) throw new KernelError('ENOMEM')
  if (isDry) return present === undefined
  if (present === undefined) kernel.tables.set(name, { flags: '-pa----', entries: [] })
  else present.flags = `${present.flags[0]}pa${present.flags.slice(3)}`
  return present === undefined
}

/** Sets the content to the difference; feedback in input order, then the deleted ones, highest first. */
export function setAddresses(kernel, name, addresses, isDry) {
  const table = writableTable(kernel, name)
  needTableSlot(kernel)
  if (kernel.system === 'freebsd') {
    let capacity = 64
    while (capacity < addresses.length) capacity *= 2
    if (capacity > FREEBSD_MAX_REQUEST) throw new KernelError('EINVAL')
  }
  const present = new Map(table.entries.map((entry) => [keyOf(entry), entry]))
  const [marked, added, changed] = [new Set(), new Map(), new Set()]
  const feedback = addresses.map((address) => {
    const key = keyOf(address)
    const old = present.get(key)
    if (marked.has(key) || added.has(key)) return { address, feedback: 'duplicate' }
    if (old !== undefined) {
      marked.add(key)
      if (old.not === address.not) return { address, feedback: 'none' }
      changed.add(key)
      return { address, feedback: 'changed' }
    }
    if (isZeroHost(address)) return { address, feedback: 'none' }
    added.set(key, { ...address, clearedAt: kernel.nowSec })
    return { address, feedback: 'added' }
  })
  const gone = sortEntries(table.entries).filter((entry) => !marked.has(keyOf(entry)))
  if (totalEntries(kernel) + added.size > kernel.limits['table-entries']) throw new KernelError('ENOMEM')
  if (!isDry) {
    const kept = table.entries.filter((entry) => marked.has(keyOf(entry)))
    table.entries = [
      ...kept.map((entry) => (changed.has(keyOf(entry)) ? { ...entry, not: !entry.not } : entry)),
      ...added.values(),
    ]
  }
  for (const entry of gone.reverse()) feedback.push({ address: entry, feedback: 'deleted' })
  return { added: added.size, deleted: gone.length, changed: changed.size, feedback }
}

/** Adds from the last address to the first, as the kernel does: of two signs, the last one stays. */
export function addAddresses(kernel, name, addresses, isDry) {
  const table = writableTable(kernel, name)
  needTableSlot(kernel)
  if (kernel.system === 'freebsd' && addresses.length > FREEBSD_MAX_REQUEST) throw new KernelError('EINVAL')
  const present = new Map(table.entries.map((entry) => [keyOf(entry), entry]))
  const added = new Map()
  const feedback = []
  for (const address of [...addresses].reverse()) {
    const key = keyOf(address)
    const old = present.get(key)
    if (added.has(key)) feedback.unshift({ address, feedback: 'duplicate' })
    else if (old !== undefined)
      feedback.unshift({ address, feedback: old.not === address.not ? 'none' : 'conflict' })
    else if (isZeroHost(address)) feedback.unshift({ address, feedback: 'none' })
    else {
      added.set(key, { ...address, clearedAt: kernel.nowSec })
      feedback.unshift({ address, feedback: 'added' })
    }
  }
  if (totalEntries(kernel) + added.size > kernel.limits['table-entries']) {
    if (kernel.system === 'freebsd') throw new KernelError('ENOMEM')
    throw new KernelSleep()
  }
  if (!isDry) table.entries.push(...added.values())
  return { count: added.size, feedback }
}

export function deleteAddresses(kernel, name, addresses, isDry) {
  const table = writableTable(kernel, name)
  const present = new Map(table.entries.map((entry) => [keyOf(entry), entry]))
  const gone = new Set()
  const feedback = addresses.map((address) => {
    const key = keyOf(address)
    const old = present.get(key)
    if (old === undefined) return { address, feedback: 'none' }
    if (old.not !== address.not) return { address, feedback: 'conflict' }
    if (gone.has(key)) return { address, feedback: 'duplicate' }
    gone.add(key)
    return { address, feedback: 'deleted' }
  })
  if (!isDry) table.entries = table.entries.filter((entry) => !gone.has(keyOf(entry)))
  return { count: gone.size, feedback }
}

export function listEntries(kernel, name) {
  return sortEntries(activeTable(kernel, name).entries)
}

export function flushTable(kernel, name, isDry) {
  const table = writableTable(kernel, name)
  const count = table.entries.length
  if (!isDry) table.entries = []
  return count
}

/** Removes a table; one that rules use is kept, empty and inactive. */
export function killTable(kernel, name, isDry) {
  needName(name)
  const table = kernel.tables.get(name)
  if (!isActive(table)) return 0
  if (!isDry) {
    if (table.flags[4] === 'r') kernel.tables.set(name, { flags: '----r--', entries: [] })
    else kernel.tables.delete(name)
  }
  return 1
}

/** The longest entry that contains each host. */
export function testAddresses(kernel, name, addresses) {
  const table = activeTable(kernel, name)
  const feedback = addresses.map((address) => {
    const holders = table.entries.filter(({ family, bytes, length }) => {
      if (family !== address.family) return false
      return bytes.every((byte, index) => {
        const kept = Math.min(8, Math.max(0, length - index * 8))
        return ((byte ^ address.bytes[index]) & (0xff00 >> kept) & 0xff) === 0
      })
    })
    const holder = holders.sort((left, right) => right.length - left.length)[0]
    const kind = holder === undefined ? 'none' : holder.not ? 'notMatch' : 'match'
    return { address, feedback: kind, holder }
  })
  return { count: feedback.filter((each) => each.feedback === 'match').length, feedback }
}

/** Resets the age of single addresses. */
export function zeroAddresses(kernel, name, addresses, isDry) {
  const table = activeTable(kernel, name)
  const present = new Map(table.entries.map((entry) => [keyOf(entry), entry]))
  let count = 0
  const feedback = addresses.map((address) => {
    const entry = present.get(keyOf(address))
    if (entry === undefined) return { address, feedback: 'none' }
    if (entry.not !== address.not) return { address, feedback: 'conflict' }
    count += 1
    if (!isDry) entry.clearedAt = kernel.nowSec
    return { address, feedback: 'cleared' }
  })
  return { count, feedback }
}

/** Resets the ages of a whole table; 0 if there is no such table. */
export function zeroTable(kernel, name, isDry) {
  needName(name)
  const table = kernel.tables.get(name)
  if (!isActive(table)) return 0
  if (!isDry) for (const entry of table.entries) entry.clearedAt = kernel.nowSec
  return 1
}

/** A feedback line: letter, blank, sign, address. */
export function feedbackLine({ address, feedback }, isNegated = address.not) {
  return `${FEEDBACK[feedback]} ${isNegated ? '!' : ' '}${formatEntry({ ...address, not: false })}`
}
