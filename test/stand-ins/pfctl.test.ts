/** The pfctl stand-in of our tests against transcripts of OpenBSD's own pfctl. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { formatEntry, parseEntry } from '../support/pfctl/address.js'
import { loadRules } from '../support/pfctl/rules.js'
import { newWorld, runPfctl } from '../support/pfctl/run-pfctl.js'
import { sortEntries } from '../support/pfctl/tables.js'

type Content = string[] | { count: number; first: string; last: string }

interface PfctlRecord {
  id: string
  desc: string
  before: Record<string, Content>
  before_flags: Record<string, string>
  argv: string[]
  stdin: string | null
  stdin_rule?: string
  rc: number | null
  stdout: string
  stderr: string
  after: Record<string, Content>
  after_flags: Record<string, string>
  limits: Record<string, number>
  opens: string[]
  resolver_refused?: string[]
  dns_asked?: string[]
  dev?: 'none' | 'ro' | 'missing'
  fd?: { n: number; mode: string; dev?: string; path?: string }
  env?: Record<string, string>
  ages?: Record<string, Record<string, number>>
  hosts?: Record<string, string[]>
  files?: Record<string, string>
  loaded_conf?: string
  pf_running?: [number, number]
}

interface Entry {
  family: number
  bytes: number[]
  length: number
  not: boolean
  clearedAt: number
}

const NOW_SEC = 1_700_000_000
/** Age of entries that the record gives none. */
const DEFAULT_AGE_SEC = 100_000

/** The machine of the recording, as the note of `in-self` says. */
const MACHINE = {
  interfaces: {
    lo0: [
      { address: '127.0.0.1', length: 8 },
      { address: '::1', length: 128 },
      { address: 'fe80::1', length: 64 },
    ],
    em0: [
      { address: '192.0.2.10', length: 24, broadcast: '192.0.2.255' },
      { address: '192.0.2.11', length: 24, broadcast: '192.0.2.255' },
      { address: '2001:db8:0:1::10', length: 64 },
      { address: 'fe80::a00:1', length: 64 },
    ],
    em1: [{ address: '10.20.0.1', length: 16, broadcast: '10.20.255.255' }],
    tun0: [{ address: '198.51.100.1', length: 32, peer: '198.51.100.2' }],
    pflog0: [],
  },
  groups: {
    all: ['lo0', 'em0', 'em1', 'tun0', 'pflog0'],
    lo: ['lo0'],
    em: ['em0', 'em1'],
    tun: ['tun0'],
    pflog: ['pflog0'],
    egress: ['em0'],
  },
}

/** Writes the paths of a recorded argument or text as they were on the recording machine. */
const DIR = '/recorded'
const place = (text: string) => text.replaceAll('{DIR}', DIR)

function expand(content: Content): string[] {
  if (Array.isArray(content)) return content
  const [, , third = 0, fourth = 0] = content.first.split('.').map(Number)
  return Array.from({ length: content.count }, (_, index) => {
    const value = third * 250 + fourth + index
    return content.first.replace(/\d+\.\d+$/, `${Math.floor(value / 250)}.${value % 250}`)
  })
}

function stdinOf(record: PfctlRecord): string {
  if (record.stdin_rule === undefined) return record.stdin ?? ''
  return `${record.stdin_rule.replace(/^one line: /, '')}\n`
}

/** Mode of an inherited descriptor; one of anything but the packet filter is `not-pf`. */
function accessOf({ mode, dev, path }: NonNullable<PfctlRecord['fd']>): string {
  const isPf = ['rdwr', 'rdonly'].includes(mode) && (dev ?? path ?? '/dev/pf') === '/dev/pf'
  return isPf ? mode : 'not-pf'
}

function worldOf(record: PfctlRecord) {
  const tables = new Map<string, { flags: string; entries: Entry[] }>()
  for (const [name, content] of Object.entries(record.before)) {
    const entries = expand(content).map((text) => {
      const age = record.ages?.[name]?.[text] ?? DEFAULT_AGE_SEC
      return { ...(parseEntry(text) as unknown as Entry), clearedAt: NOW_SEC - age }
    })
    tables.set(name, { flags: record.before_flags[name] ?? '-pa----', entries })
  }
  const files = new Map(
    Object.entries(record.files ?? {}).map(([name, text]) => [`${DIR}/${name}`, place(text)]),
  )
  const readFile = (path: string): string => {
    if (path === '/') throw Object.assign(new Error(), { code: 'EISDIR' })
    const text = files.get(path)
    if (text === undefined) throw Object.assign(new Error(), { code: 'ENOENT' })
    return text
  }
  const world = newWorld({
    tables,
    limits: record.limits,
    nowSec: NOW_SEC,
    machine: MACHINE,
    hosts: record.hosts ?? {},
    device: (path: string) => {
      if (path === '/dev/pf') return record.dev ?? 'ok'
      return path === '/dev/null' ? 'not-pf' : files.has(path) ? 'not-pf' : 'missing'
    },
    descriptor: (fd: number) => (fd === record.fd?.n ? accessOf(record.fd) : undefined),
    hasFdNodes: record.env?.FAKE_NOFDESCFS === undefined,
    isRunning: (record.pf_running?.[0] ?? 1) === 1,
    readStdin: () => stdinOf(record),
    readFile,
  })
  if (record.loaded_conf !== undefined) {
    const kept = structuredClone([...tables])
    loadRules(world, place(record.loaded_conf), readFile)
    // The record says what the tables held then; only the rules are missing from it.
    world.tables = new Map(kept)
  }
  return world
}

function load(): PfctlRecord[] {
  return readFileSync(new URL('../golden/pfctl.jsonl', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as PfctlRecord)
}

describe('the pfctl stand-in does what OpenBSD pfctl did', () => {
  test.each(load())('$id: $desc', (record) => {
    const world = worldOf(record)
    const ran = runPfctl(world, record.argv.map(place))
    const after = Object.fromEntries(
      [...world.tables].map(([name, table]) => [name, sortEntries(table.entries).map(formatEntry)]),
    )
    const flags = Object.fromEntries([...world.tables].map(([name, table]) => [name, table.flags]))
    expect({
      rc: ran.exitCode,
      stdout: ran.stdout,
      stderr: ran.stderr,
      after,
      flags,
      opens: ran.opens,
      dnsAsked: ran.dnsAsked,
      // The recording lost line ends inside a name.
      resolverRefused: ran.resolverRefused.map((name: string) => name.trimEnd()),
      isRunning: Number(world.isRunning),
    }).toEqual({
      rc: record.rc,
      stdout: place(record.stdout),
      stderr: place(record.stderr),
      after: Object.fromEntries(
        Object.entries(record.after).map(([name, content]) => [name, expand(content)]),
      ),
      flags: record.after_flags,
      opens: record.opens.map(place),
      dnsAsked: record.dns_asked ?? [],
      resolverRefused: record.resolver_refused ?? [],
      isRunning: record.pf_running?.[1] ?? 1,
    })
  })
})

describe('what pfctl.md says and no record shows', () => {
  const run = (...argv: string[]) => runPfctl(newWorld(), argv)

  test('hexadecimal networks are read from the left', () => {
    const world = newWorld({ readStdin: () => '0xa/8\n0x0a0/12\n' })
    expect(runPfctl(world, ['-t', 'x', '-T', 'replace', '-f', '-']).exitCode).toBe(0)
    expect(runPfctl(world, ['-t', 'x', '-T', 'show']).stdout).toBe('   10.0.0.0/12\n   160.0.0.0/8\n')
  })

  test.each(['show', 'flush', 'kill', 'zero', 'test', 'delete', 'add'])(
    '-T %s of a table without a name',
    (command) => {
      const stderr = 'pfctl: Anchor does not exist\n'
      expect(run('-t', '', '-T', command)).toMatchObject({ exitCode: 255, stderr })
    },
  )

  test('-N and -r exclude each other', () => {
    expect(run('-N', '-r', '-t', 'x', '-T', 'show').exitCode).toBe(1)
  })

  const worldWith = (tables: Record<string, string>, parts: object = {}) =>
    newWorld({
      tables: new Map(
        Object.entries(tables).map(([name, flags]) => [name, { flags, entries: [parseEntry('10.0.0.1')] }]),
      ),
      ...parts,
    })

  test('a new table needs two free slots, and is not told when it has them not', () => {
    const limits = { 'table-entries': 10, tables: 2 }
    const world = worldWith({ a: '-pa----' }, { limits })
    const ran = runPfctl(world, ['-t', 'new', '-T', 'add', '10.0.0.9'])
    expect(ran).toMatchObject({ exitCode: 255, stderr: 'pfctl: Cannot allocate memory\n' })
    expect([...world.tables.keys()]).toEqual(['a'])
    expect(runPfctl(world, ['-t', 'a', '-T', 'replace', '10.0.0.9']).exitCode).toBe(0)
  })

  test('a negated host cannot be tested, one negated twice can', () => {
    const world = worldWith({ a: '-pa----' })
    expect(runPfctl(world, ['-t', 'a', '-T', 'test', '!10.0.0.1'])).toMatchObject({
      exitCode: 255,
      stderr: 'pfctl: cannot decode !10.0.0.1: Invalid argument\n',
    })
    expect(runPfctl(world, ['-t', 'a', '-T', 'test', '!!10.0.0.1']).exitCode).toBe(0)
  })

  test('-v marks a table that one in an anchor hides, -vv adds its numbers', () => {
    const world = worldWith({ a: '-pa----', 'a@foo': '-pa----', 'b@foo/bar': '-pa----' })
    expect(runPfctl(world, ['-sT', '-v']).stdout).toBe('-pa--h-\ta\n')
    expect(runPfctl(world, ['-a', 'foo', '-sT']).stdout).toBe('a@foo\n')
    expect(runPfctl(world, ['-a', '*', '-sT']).stdout).toBe('a\na@foo\nb@foo/bar\n')
    expect(runPfctl(world, ['-a', 'foo/*', '-sT']).stdout).toBe('a@foo\nb@foo/bar\n')
    const lines = runPfctl(world, ['-vvsT']).stdout.split('\n')
    expect(lines.slice(0, 6)).toEqual([
      '-pa--h-\ta',
      '\tAddresses:   1',
      '\tCleared:     Tue Nov 14 22:13:20 2023',
      '\tReferences:  [ Anchors: 1                  Rules: 0                  ]',
      '\tEvaluations: [ NoMatch: 0                  Match: 0                  ]',
      '\tIn/Block:    [ Packets: 0                  Bytes: 0                  ]',
    ])
    expect(lines).toHaveLength(14)
  })

  test('-a with an asterisk does not tell what failed', () => {
    expect(run('-a', '*', '-t', 'x', '-T', 'show')).toMatchObject({ exitCode: 255, stderr: '' })
  })

  test('-r shows the names of hosts', () => {
    const world = worldWith({ a: '-pa----' }, { hosts: { 'mx.example': ['10.0.0.1'] } })
    expect(runPfctl(world, ['-r', '-t', 'a', '-T', 'show']).stdout).toBe('   10.0.0.1\t(mx.example)\n')
    expect(runPfctl(world, ['-N', '-t', 'a', '-T', 'show']).stdout).toBe('   10.0.0.1\n')
  })

  test('a descriptor that is no packet filter, a zone by number, limits with and without a number', () => {
    const world = worldWith({ a: '-pa----' }, { descriptor: () => 'not-pf' })
    const onFd = (...argv: string[]) => runPfctl(world, ['-p', '/dev/fd/4', '-t', 'a', '-T', ...argv])
    expect(onFd('show')).toMatchObject({ exitCode: 255, stderr: 'pfctl: Inappropriate ioctl for device\n' })
    expect(onFd('replace', '10.0.0.2')).toMatchObject({
      exitCode: 1,
      stderr: 'pfctl: pfr_get_tables: Inappropriate ioctl for device\n',
    })
    expect(runPfctl(newWorld(), ['-t', 'x', '-T', 'add', 'fe80::1%1']).exitCode).toBe(0)
    const limits = { 'table-entries': 200_000, tables: 1000, 'src-nodes': 10_000, states: 4_294_967_295 }
    const memory = runPfctl(newWorld({ limits }), ['-sm']).stdout
    expect(memory).toContain('src-nodes     hard limit    10000\n')
    expect(memory).toContain('states        unlimited\n')
  })
})
