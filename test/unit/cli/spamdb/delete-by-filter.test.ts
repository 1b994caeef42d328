/** `spamdb -d` with filters: shows, asks, deletes as one event, and undo takes it back. */
import { describe, expect, test } from 'vitest'
import { getoptAnywhere } from '../../../../src/cli/getopt.js'
import { runUndo, UNDO_OPTIONS } from '../../../../src/cli/operations/history-commands.js'
import { OptionValues } from '../../../../src/cli/option-reader.js'
import { runSpamdb } from '../../../../src/cli/spamdb/spamdb-main.js'
import type { Entry } from '../../../../src/domain/entry.js'
import { captureIo, openScene, TEST_NOW, temporaryFolder } from '../../../support/program-run.js'

const folder = temporaryFolder('delete-by-filter')
const times = { first: TEST_NOW - 7200, pass: TEST_NOW, expire: TEST_NOW + 3600, bcount: 1, pcount: 0 }
const grey = (ip: string, from: string, first = times.first): Entry => ({
  kind: 'GREY',
  ip,
  helo: 'h',
  from,
  to: '<u@b.test>',
  ...times,
  first,
})
const entries: Entry[] = [
  { kind: 'WHITE', ip: '192.0.2.1', ...times },
  { kind: 'WHITE', ip: '203.0.113.1', ...times, expire: 0, comment: 'ours' },
  { kind: 'TRAPPED', ip: '192.0.2.7', ...times, pcount: -1 },
  { kind: 'SPAMTRAP', address: 'trap@b.test', first: TEST_NOW - 7200 },
  grey('192.0.2.9', '<a@bad.test>'),
  grey('192.0.2.9', '<b@bad.test>', TEST_NOW - 60),
  grey('198.51.100.9', '<c@good.test>'),
]
const scenes = async () => await openScene(folder, entries)

async function run(dbPath: string, argv: string[], answer?: string) {
  const io = captureIo({ SPAMD_DB: dbPath })
  const questions: string[] = []
  const ask = async (question: string): Promise<string> => {
    questions.push(question)
    return answer!
  }
  const rc = await runSpamdb(argv, { ...io.io, ...(answer === undefined ? {} : { ask }) })
  return { ...io.result(rc), questions }
}

describe('asks', () => {
  test.each(['y', 'yes', 'Y '])('%j deletes', async (answer) => {
    const scene = await scenes()
    expect(await run(scene.path, ['-d', '--ip', '192.0.2.0/24'], answer)).toEqual({
      rc: 0,
      stdout: '4 entries deleted\n',
      stderr: 'spamdb: hint: to restore them, run spamdctl undo\n',
      questions: ['delete 4 entries (1 WHITE, 1 TRAPPED, 2 GREY)? [y/N] '],
    })
    expect((await run(scene.path, ['--count'])).stdout).toBe('3\n')
  })

  test.each(['', 'n', 'yikes'])('%j does not', async (answer) => {
    const scene = await scenes()
    expect(await run(scene.path, ['-d', '--kind', 'GREY'], answer)).toMatchObject({
      rc: 1,
      stdout: '',
      stderr: 'spamdb: nothing was deleted\n',
    })
    expect((await run(scene.path, ['--count'])).stdout).toBe('7\n')
  })

  test('without a terminal only --yes deletes', async () => {
    const scene = await scenes()
    expect(await run(scene.path, ['-d', '--from', '@bad.test'])).toMatchObject({
      rc: 1,
      stdout: '',
      stderr: `spamdb: 2 entries (2 GREY) would be deleted, but there is no terminal to ask for confirmation on
spamdb: hint: nothing was changed; use --yes to delete them, --dry-run to see them
`,
    })
    expect((await run(scene.path, ['--count'])).stdout).toBe('7\n')
    expect(await run(scene.path, ['-d', '--from', '@bad.test', '--yes'])).toMatchObject({
      rc: 0,
      stdout: '2 entries deleted\n',
    })
  })
})

test('filters meet: of a kind, older than a time', async () => {
  const scene = await scenes()
  expect(await run(scene.path, ['-d', '--kind', 'GREY', '--older-than', '1h', '--yes'])).toMatchObject({
    stdout: '2 entries deleted\n',
  })
  expect((await run(scene.path, ['--kind', 'GREY'])).stdout).toContain('<b@bad.test>')
})

test('--dry-run shows each and changes nothing', async () => {
  const scene = await scenes()
  expect(await run(scene.path, ['-d', '--dry-run', '--ip', '192.0.2.0/29'])).toMatchObject({
    rc: 0,
    stdout: 'delete WHITE 192.0.2.1\ndelete TRAPPED 192.0.2.7\n',
    stderr: 'spamdb: 2 entries (1 WHITE, 1 TRAPPED) would be deleted\n',
  })
  expect((await run(scene.path, ['--count'])).stdout).toBe('7\n')
})

test('nothing that matches is told, and is exit code 1', async () => {
  const scene = await scenes()
  expect(await run(scene.path, ['-d', '--ip', '10.0.0.0/8', '--yes'])).toMatchObject({
    rc: 1,
    stderr: 'spamdb: no entries match\n',
  })
})

test('one undo takes a deletion of many transactions back exactly', async () => {
  const many = Array.from({ length: 12_000 }, (_, n) => grey(`10.${n >> 8}.${n & 255}.1`, `<${n}@bad.test>`))
  const scene = await openScene(folder, [...entries, ...many])
  const before = await run(scene.path, [])
  await run(scene.path, ['-d', '--kind', 'GREY,WHITE', '--yes'])
  expect((await run(scene.path, ['--count'])).stdout).toBe('2\n')
  const parsed = getoptAnywhere([], UNDO_OPTIONS)
  if (!parsed.ok) throw new Error(parsed.message)
  const out: string[] = []
  const rc = await runUndo([], new OptionValues(parsed), {
    dbPath: scene.path,
    nowSec: () => TEST_NOW + 10,
    write: (text) => void out.push(text),
    writeError: (text) => void out.push(text),
    actor: 'test',
  })
  expect([rc, out.join('')]).toEqual([0, expect.stringMatching(/^event \d+: 12005 entries were restored/)])
  expect((await run(scene.path, [])).stdout).toBe(before.stdout)
})

describe('what cannot be meant is refused, and nothing is deleted', () => {
  test.each([
    [['-d', '--ip', '192.0.2.0/24', '192.0.2.1'], '-d takes keys or filters, not both'],
    [['-d', '-T', '--ip', '192.0.2.0/24'], '-T requires keys; use --kind'],
    [['-d', '--kind', 'GREY', '--limit', '3'], '--limit lists entries; leave out -d'],
    [['-d', '--kind', 'GREY', '--json'], '--json lists entries; leave out -d'],
    [['-a', '--kind', 'GREY'], '--kind lists entries; leave out -a and -d'],
    [['-d', '--yes', '192.0.2.1'], '--yes requires -d and a filter such as --ip'],
    [['--yes'], '--yes requires -d and a filter such as --ip'],
    [['-d', '--ip', 'x'], '--ip: "x" is not an address or network such as 192.0.2.0/24'],
  ])('%j', async (argv, message) => {
    const scene = await scenes()
    expect(await run(scene.path, argv, 'y')).toMatchObject({
      rc: 1,
      stderr: `spamdb: ${message}\nusage: spamdb [-adGTt] [keys ...]\n`,
    })
    expect((await run(scene.path, ['--count'])).stdout).toBe('7\n')
  })
})
