/**
 * Rule files as spamd's manual uses them: `table` lines and simple pass and block rules, and the form in which `pfctl
 * -sr` prints them. Source: pf.conf(5); transcripts of OpenBSD's pfctl.
 */
import { maskBits, parseNumeric } from './address.js'
import { isActive } from './tables.js'

const SERVICES = { smtp: 25 }

/** Loads a rule file: tables with `file` or a list get that content; others are not changed. */
export function loadRules(world, text, readFile) {
  const rules = []
  for (const line of text.split('\n').map((each) => each.replace(/#.*/, '').trim())) {
    const [, name, rest] = /^table\s+<([^>]+)>\s*(.*)$/.exec(line) ?? []
    if (name !== undefined) loadTable(world, name, rest, readFile)
    else if (line !== '') rules.push(line)
  }
  world.rules = rules
  const used = new Set(rules.flatMap((rule) => [...rule.matchAll(/<([^>]+)>/g)].map((match) => match[1])))
  for (const name of used) {
    const table = world.tables.get(name)
    if (table === undefined) world.tables.set(name, { flags: '----r--', entries: [] })
    else table.flags = `${table.flags.slice(0, 4)}r${table.flags.slice(5)}`
  }
}

function loadTable(world, name, rest, readFile) {
  const file = /file\s+"([^"]+)"/.exec(rest)?.[1]
  const list = /\{([^}]*)\}/.exec(rest)?.[1]
  const present = world.tables.get(name)
  const table = present ?? { flags: '-------', entries: [] }
  const isConst = /\bconst\b/.test(rest)
  const isPersist = /\bpersist\b/.test(rest)
  table.flags = `${isConst ? 'c' : '-'}${isPersist ? 'p' : '-'}a${table.flags.slice(3)}`
  world.tables.set(name, table)
  if (file === undefined && list === undefined) return
  const tokens = (file === undefined ? list : readFile(file)).split(/[\s,]+/).filter((token) => token !== '')
  table.entries = tokens.map((token) => {
    const [address, length] = token.replace(/^!/, '').split('/')
    const parsed = parseNumeric(address, length !== undefined)
    const entry = { ...parsed, length: Number(length ?? (parsed.family === 4 ? 32 : 128)) }
    return { ...maskBits(entry), not: token.startsWith('!'), clearedAt: world.nowSec }
  })
}

/** Lines of `-sr`, with table sizes and counters according to the verbosity. */
export function showRules(world, { verbosity, hasServiceNames }) {
  return world.rules.flatMap((rule, index) => {
    const sized = formatRule(rule, hasServiceNames).replaceAll(/<([^>]+)>/g, (whole, name) => {
      if (verbosity < 2) return whole
      const table = world.tables.get(name)
      return `<${name}:${isActive(table) ? table.entries.length : '*'}>`
    })
    const lines = [`${verbosity >= 2 ? `@${index} ` : ''}${sized}`]
    if (verbosity > 0) {
      lines.push('  [ Evaluations: 0         Packets: 0         Bytes: 0           States: 0     ]')
      lines.push('  [ Inserted: uid 0 pid 0 State Creations: 0     ]')
    }
    return lines
  })
}

function formatRule(rule, hasServiceNames) {
  const words = rule.split(/\s+/)
  const take = (word) => {
    const at = words.indexOf(word)
    return at < 0 ? undefined : words.splice(at, 2)[1]
  }
  const divertAt = words.indexOf('divert-to')
  const divert = divertAt < 0 ? '' : ` ${words.splice(divertAt, 4).join(' ')}`
  const portText = take('port')
  const from = take('from') ?? 'any'
  const to = take('to') ?? 'any'
  const number = portText === undefined ? undefined : (SERVICES[portText] ?? Number(portText))
  const name = Object.keys(SERVICES).find((service) => SERVICES[service] === number)
  const port = number === undefined ? '' : ` port = ${hasServiceNames && name !== undefined ? name : number}`
  const isPass = words[0] === 'pass'
  if (words[0] === 'block' && !['drop', 'return'].includes(words[1])) words.splice(1, 0, 'drop')
  const ends = from === 'any' && to === 'any' && port === '' ? ' all' : ` from ${from} to ${to}${port}`
  return `${words.join(' ')}${ends}${isPass ? ' flags S/SA' : ''}${divert}`
}
