/**
 * The recorded transcripts of OpenBSD's spamdb. Each is run three times: on the model in the original's mode,
 * which must print what was recorded (so the model is right); on the model in our mode; and on our spamdb,
 * which must print what the model says. Where the modes agree ours is thus the original byte for byte.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { runSpamdb } from '../../src/cli/spamdb/spamdb-main.js'
import { createDatabase, openStore } from '../../src/db/open-store.js'
import type { Entry } from '../../src/domain/entry.js'
import {
  type DifferenceLog,
  type Mode,
  type ModelDatabase,
  type ModelResult,
  putRecord,
  runModel,
} from '../support/spamdb-model.js'

const root = join(import.meta.dirname, '../..')
const golden = join(root, 'test/golden')

interface Put {
  kind: 'put' | 'putold' | 'putraw'
  absolute: boolean
  key: string
  fields?: (number | string)[]
  hex?: string
}
interface Step {
  argv: string[]
  advance?: number
  rc: number
  stdout_sorted: string[]
  stderr: string
}
interface Transcript {
  id: string
  desc: string
  db: string
  uid: number | null
  put: Put[]
  steps: Step[]
  ub?: boolean
}

/** The recording's clock. */
const START = 1_700_000_000

const transcripts = readLines(join(golden, 'spamdb.jsonl'))
const listedDifferences = JSON.parse(readFileSync(join(root, 'test/golden/differences.json'), 'utf8')) as Record<
  string,
  Record<string, { reason: string; instead: string }>
>
const differences = listedDifferences['spamdb.jsonl']!
/** Every name under which the model may differ from the original. */
const wantedNames = new Set([
  ...Object.values(differences).flatMap(({ instead }) => instead.split(' ')),
  ...Object.keys(listedDifferences['rules without a given transcript']!),
])

function readLines(path: string): Transcript[] {
  // JSON.parse would round the 64-bit times of one transcript.
  const exact = readFileSync(path, 'utf8').replace(/([[,] ?)(-?[0-9]{16,})(?=[,\]])/g, '$1"$2"')
  return exact
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Transcript)
}

const folder = mkdtempSync(join(tmpdir(), 'spamdb-golden-'))
chmodSync(folder, 0o755)
afterAll(() => rmSync(folder, { recursive: true }))

describe.each(transcripts)('$id $desc', (transcript) => {
  const reason =
    transcript.ub === true
      ? ' (skipped: the outcome rests on undefined behaviour of the original)'
      : transcript.uid !== null && process.getuid?.() !== 0
        ? ' (skipped: only root may run as another user)'
        : /^created[0-9]/.test(transcript.db) && process.getuid?.() !== 0
          ? ' (skipped: recorded as root, who may open a file whatever its mode)'
          : ''
  test.skipIf(reason !== '')(`prints what it must${reason}`, async () => {
    const log: DifferenceLog = new Set()
    const original = runOnModel(transcript, 'original', log)
    const recorded = transcript.steps.map(({ rc, stdout_sorted, stderr }) => ({ rc, stdout: stdout_sorted.map(withTimes), stderr }))
    // Which of several tuples -d -G removes is the order of the original's hash: only the number is certain.
    const isHashOrder = log.has('oldest-tuple-first')
    const isPartial = original.map((step) => step.isPartial === true)
    expect(original.map((step, index) => comparable(step, isHashOrder, isPartial[index]!))).toEqual(
      recorded.map((step, index) => comparable(step, isHashOrder, isPartial[index]!)),
    )

    const wanted = runOnModel(transcript, 'ours', log)
    const got = await runOurs(transcript)
    const unjudged = wanted.findIndex((step) => step.isUnjudged === true)
    const judgedCount = unjudged < 0 ? wanted.length : unjudged
    expect(got.slice(0, judgedCount)).toEqual(wanted.slice(0, judgedCount))

    const isSame = JSON.stringify(wanted.map(sorted)) === JSON.stringify(recorded.map(sorted))
    const listed = differences[transcript.id]
    if (isSame) expect(listed, 'listed as a difference, yet reproduced').toBeUndefined()
    else {
      expect(log.size, 'a difference without a wanted reason').toBeGreaterThan(0)
      // Transcripts that this file does not know yet are judged by the rules alone.
      if (listed !== undefined) {
        expect(listed.reason.length).toBeGreaterThan(0)
        expect(listed.instead.split(' ')).toEqual([...log].sort())
      }
    }
  })
})

/** States of the file that the given transcripts do not show; what must be printed is the model's word alone. */
const NOBODY = 65_534
describe.each(
  ['missing', 'empty', 'garbage', 'short', 'dir', 'created', 'created000', 'created444'].flatMap((db) =>
    [null, NOBODY].map((uid) => ({ db, uid })),
  ),
)('a file that is $db, as user $uid', ({ db, uid }) => {
  const reason =
    uid !== null && process.getuid?.() !== 0 ? ' (skipped: only root may run as another user)' : ''
  test.skipIf(reason !== '')(`is refused or used as by the original${reason}`, async () => {
    const put: Put = { kind: 'put', absolute: false, key: '192.0.2.9', fields: [0, 0, 99, 1, 0] }
    const argvs = [[], ['192.0.2.9'], ['-d', '192.0.2.9'], ['-a', '192.0.2.1'], ['-Ga', 'x'], ['-Ta', 'x'], ['-a'], []]
    const steps = argvs.map((argv) => ({ argv, rc: 0, stdout_sorted: [], stderr: '' }))
    const isFilled = db.startsWith('created')
    const transcript = { id: '', desc: '', db, uid, put: isFilled ? [put] : [], steps }
    expect(await runOurs(transcript)).toEqual(runOnModel(transcript, 'ours', new Set()))
  })
})

/** Keys and options that the given transcripts do not show, of the kinds that they do. */
const ODD_ADDRESSES = [
  ...['255.255.255.255', '00000010.1.1.1', '1.2', '1.2.3.4/24', ' 1.2.3.4', '1.2.3.4 ', '0177.0.0.1', '1.2.3.4%lo'],
  ...['2001:DB8:0::1', '::', '::1.2.3.4', '::ffff:01.2.3.4', '::0001.2.3.4', '::00001.2.3.4', '::ffff:0102:0304'],
  ...['1:2:3:4:5:6:7::', '::1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:1.2.3.4', '0::ffff:1.2.3', '00001::1', ':1', '1:'],
  ...['fe80::1%lo', 'ff02::1%lo', 'ff05::1%lo', 'fe80::1%+1', 'fe80::1% 1', 'fe80::1%-1', 'fe80::1%4294967295'],
  ...['2001:db8::/32', '1.2.3.4\u0085', '１.2.3.4', '1.2.3.4\u001b[m', '-1', '192.0.2.1\n<a@b>\n<c@d>'],
]
const ODD_MAIL = [
  ...['@', '<@>', '<A@B.c', 'a@b.c>', '<<a@b>>', 'Ä@B', 'a b@c', 'a@b\tc', 'a\\x0a@b', 'ａ@b', 'a\r@b', 'noat', '<>'],
  ...['a\nb@c', 'w\nx\ny@z\nq', '2001:db8::1', '<noat@>'],
]
const ODD_OPTIONS = [
  ...['-x', '-ax', '-:', '-?', '-é', '-aé', '-\u0001', '-a=1', '-aY', '-Y', '-tT', '-G', '-aat', '-tdG', '-GTa'],
  ...['--', '--foo', '--f\u001bo', '--help', '--version', '-a-', '-Ta-', '-a-t', '-dx-', '-'],
]

describe.each(['empty', 'created'])('calls that no transcript shows, on a file that is %s', (db) => {
  const put = (key: string, pcount: number): Put => ({ kind: 'put', absolute: false, key, fields: [0, 0, 99, 1, pcount] })
  const puts = [put('1.2.3.4', 0), put('a@b', -2), put('Foo@B', -2), put('010.0.0.1', -1), put('192.0.2.1\nh\nf\nt', 0)]
  const calls: [string, string[][]][] = [
    ...['-a', '-ta', '-Ta', '-d', '-dG', '--'].map((option): [string, string[][]] => [
      `${option} KEY`,
      [...ODD_ADDRESSES, ...ODD_MAIL].flatMap((key) => [option === '--' ? ['--', key] : [option, '--', key], []]),
    ]),
    ['OPTION', ODD_OPTIONS.flatMap((option) => [[option], [option, '1.2.3.4'], []])],
    ['OPTION -a KEY', ODD_OPTIONS.flatMap((option) => [[option, '-a', '1.2.3.4'], []])],
    [
      'KEY OPTION',
      ['-a', '-ta', '-Ta', '-d', '-dt', '-dG', '-Y127.0.0.1 -a'].flatMap((options) => {
        const key = options === '-Ta' ? 'new@x.test' : options.startsWith('-d') ? '1.2.3.4' : '192.0.2.77'
        return [
          ...[['-t'], ['-T'], ['-G'], ['-tG'], ['-T', '-t'], ['-a'], ['-d'], ['-t', '1.2.3.5'], ['5.6.7.8', '-t']],
          ...[['--dry-run'], ['--comment', 'foo'], ['--'], ['--x@y'], ['a@b', '--json', 'c'], ['5.6.7.8', '--expire=1d']],
        ].flatMap((rest) => [[...options.split(' '), key, ...rest], []])
      }),
    ],
    ['-- KEY OPTION', [['-a', '--', '192.0.2.77', '-t'], [], ['-a', '--', '192.0.2.78', '--dry-run'], []]],
    ['-a -', [['-a', '-'], [], ['-d', '-', '1.2.3.4'], ['-', '1.2.3.4'], ['-Ta', '-', 'noat'], []]],
  ]
  test.each(calls)('%s', async (_, argvs) => {
    const steps = argvs.map((argv) => ({ argv, rc: 0, stdout_sorted: [], stderr: '' }))
    const transcript = { id: '', desc: '', db, uid: null, put: db === 'empty' ? [] : puts, steps }
    const log: DifferenceLog = new Set()
    expect(await runOurs(transcript)).toEqual(runOnModel(transcript, 'ours', log))
    expect([...log].filter((name) => !wantedNames.has(name))).toEqual([])
  })
})

test('the original as the model has it: scopes, damaged records among sound ones, options by bytes', () => {
  const transcript: Transcript = {
    id: '',
    desc: '',
    db: 'created',
    uid: null,
    put: [
      { kind: 'put', absolute: false, key: '1.2.3.4', fields: [0, 0, 99, 1, -2] },
      { kind: 'putraw', absolute: false, key: '1.2.3.5', hex: '00' },
    ],
    steps: [['-a', 'ff01::1%lo', 'fe80::1%+1', '::00001.2.3.4', 'ff05::1%lo'], ['-é'], ['-a', '1.2.3.4'], ['1.2.3.4'], []].map(
      (argv) => ({ argv, rc: 0, stdout_sorted: [], stderr: '' }),
    ),
  }
  expect(runOnModel(transcript, 'original', new Set())).toMatchObject([
    { rc: 2, stderr: 'spamdb: invalid ip address ::00001.2.3.4\nspamdb: invalid ip address ff05::1%lo\n' },
    { rc: 1, stderr: 'spamdb: unknown option -- \u00c3\nusage: spamdb [-adGTt] [keys ...]\n' },
    { rc: 0 },
    { rc: 0, stdout: [`TRAPPED|1.2.3.4|${START + 3_110_400}`] },
    { rc: 1, isPartial: true },
  ])
})

test('every listed difference is of a transcript that was given', () => {
  // Of our own copy: other transcripts may lie in place of those that the list was made from.
  const ids = new Set(readLines(join(root, 'test/golden/spamdb.jsonl')).map(({ id }) => id))
  expect(Object.keys(differences).filter((id) => !ids.has(id))).toEqual([])
})

/** What of a step is certain: not the order of a hash, nor where in it a listing met the first damaged record. */
function comparable({ rc, stdout, stderr }: ModelResult, isHashOrder: boolean, isPartial: boolean): ModelResult {
  if (isPartial) return { rc, stdout: [], stderr: stderr.replace(/: .*/, '') }
  const lines = isHashOrder ? [String(stdout.length)] : stdout.flatMap((line) => line.split('\n')).sort()
  return { rc, stdout: lines, stderr }
}

function sorted({ rc, stdout, stderr }: ModelResult): ModelResult {
  return { rc, stdout: [...stdout].sort(), stderr }
}

function runOnModel(transcript: Transcript, mode: Mode, log: DifferenceLog): ModelResult[] {
  const database = modelOf(transcript, mode, log)
  let now = START
  return transcript.steps.map((step) => {
    now += step.advance ?? 0
    const argv = step.argv.map((word) => Buffer.from(word, 'utf8').toString('latin1'))
    return runModel(database, argv, BigInt(now), mode, log)
  })
}

function modelOf({ db, uid, put }: Transcript, mode: Mode, log: DifferenceLog): ModelDatabase {
  // The file is of the user who runs this test; another user comes as a stranger to it.
  const isStranger = uid !== null && uid !== process.getuid?.()
  const isRoot = !isStranger && process.getuid?.() === 0
  const notOurs = {
    reading: 'Inappropriate file type or format',
    writing: isStranger ? 'Permission denied' : 'Inappropriate file type or format',
  }
  const refuses: Record<string, ModelDatabase['refuses']> = {
    missing: { reading: 'No such file or directory', writing: 'No such file or directory' },
    garbage: notOurs,
    short: notOurs,
    dir: { reading: 'Is a directory', writing: 'Is a directory' },
    created000: isRoot ? {} : { reading: 'Permission denied', writing: 'Permission denied' },
    created444: isRoot ? {} : { writing: 'Permission denied' },
    created: isStranger ? { writing: 'Permission denied' } : {},
    empty: isStranger ? { writing: 'Permission denied' } : {},
  }
  const database: ModelDatabase = { refuses: refuses[db]!, isEmptyFile: db === 'empty', records: new Map() }
  for (const each of put) putRecord(database, each.key, fieldsOf(each), mode, log)
  return database
}

function fieldsOf({ kind, fields, absolute }: Put): bigint[] | undefined {
  if (kind === 'putraw' || fields === undefined) return undefined
  return fields.map((value, index) => {
    const isRelative = !absolute && index < 3 && Math.abs(Number(value)) < START / 2
    return BigInt(value) + (isRelative ? BigInt(START) : 0n)
  })
}

/** A recorded line with its times, `{T+n}`, as the numbers that they stand for. */
function withTimes(line: string): string {
  return line.replace(/\{T([+-][0-9]+)\}/g, (_, delta: string) => String(START + Number(delta)))
}

async function runOurs(transcript: Transcript): Promise<ModelResult[]> {
  const path = join(mkdtempSync(join(folder, 'case-')), 'spamd.sqlite')
  chmodSync(join(path, '..'), 0o755)
  await prepare(path, transcript)
  let now = START
  const steps = transcript.steps.map(({ argv, advance }) => {
    now += advance ?? 0
    return { argv, now }
  })
  if (transcript.uid !== null) return runAsUser(transcript.uid, path, steps)
  const results: ModelResult[] = []
  for (const step of steps) results.push(await runStep(path, step.argv, step.now))
  return results
}

/** The effective user alone would not do: access(2) asks for the real one. */
function runAsUser(uid: number, path: string, steps: { argv: string[]; now: number }[]): ModelResult[] {
  const warmUpPath = join(path, '..', 'warm-up.sqlite')
  writeFileSync(warmUpPath, '')
  const call = JSON.stringify({ uid, path, warmUpPath, steps })
  const child = spawnSync(process.execPath, ['--import', 'tsx', join(root, 'test/support/spamdb-as-user.ts'), call], {
    encoding: 'utf8',
    cwd: root,
  })
  expect(child.stderr).toBe('')
  const results = JSON.parse(child.stdout) as { rc: number; stdout: string; stderr: string }[]
  return results.map(({ rc, stdout, stderr }) => resultOf(rc, stdout, stderr, path))
}

async function runStep(path: string, argv: string[], now: number): Promise<ModelResult> {
  const out: Buffer[] = []
  let stderr = ''
  const rc = await runSpamdb(argv, {
    writeOut: (bytes) => void out.push(Buffer.from(bytes)),
    writeError: (text) => {
      stderr += Buffer.from(text, 'utf8').toString('latin1')
    },
    stdin: (async function* () {})(),
    environment: { SPAMD_DB: path },
    clock: { nowSec: () => now, monotonicMs: () => 0 },
    showHelp: () => Promise.resolve(),
    openAnnouncer: () => Promise.resolve({ announce: () => undefined, finish: () => Promise.resolve() }),
  })
  return resultOf(rc, Buffer.concat(out).toString('latin1'), stderr, path)
}

function resultOf(rc: number, stdout: string, stderr: string, path: string): ModelResult {
  expect(stdout === '' || stdout.endsWith('\n')).toBe(true)
  return {
    rc,
    stdout: stdout.split('\n').slice(0, -1),
    stderr: stderr.replace(/^spamdb: hint: .*\n/gm, '').replaceAll(path, '{DB}'),
  }
}

async function prepare(path: string, transcript: Transcript): Promise<void> {
  switch (transcript.db) {
    case 'missing':
      return
    case 'dir':
      mkdirSync(path)
      return
    case 'empty':
      writeFileSync(path, '')
      return
    case 'short':
      writeFileSync(path, 'abc')
      return
    case 'garbage':
      writeFileSync(path, Buffer.alloc(8192, 0x67))
      return
    default:
      await fill(path, transcript)
  }
}

async function fill(path: string, transcript: Transcript): Promise<void> {
  createDatabase(path)
  const database = modelOf(transcript, 'ours', new Set())
  const entries: Entry[] = []
  for (const [key, { fields }] of database.records) {
    const [first, pass, expire, bcount, pcount] = fields!.map(Number) as [number, number, number, number, number]
    const [ip, helo, from, ...to] = key.split('\n')
    const times = { first, pass, expire, bcount, pcount }
    if (helo !== undefined) entries.push({ kind: 'GREY', ip: ip!, helo, from: from!, to: to.join('\n'), ...times })
    else if (pcount === -2) entries.push({ kind: 'SPAMTRAP', address: key, first })
    else entries.push({ kind: pcount === -1 ? 'TRAPPED' : 'WHITE', ip: key, ...times })
  }
  const store = await openStore(path, { mode: 'write' })
  await store.upsert(entries, { ifMissing: false })
  await store.close()
  const mode = { created000: 0o000, created444: 0o444 }[transcript.db] ?? 0o644
  chmodSync(path, mode)
  if (process.getuid?.() === 0) chownSync(path, 0, 0)
}
