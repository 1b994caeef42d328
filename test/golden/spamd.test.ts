/**
 * spamd against transcripts of OpenBSD's own. What a transcript shows is expected byte for byte; the differences
 * that we want are rules (test/support/spamd), each with a name. differences.json lists where they apply.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DIFFERENCE_RULES } from '../support/spamd/difference-rules.js'
import { loadRecords, type SpamdRecord } from '../support/spamd/record.js'
import { replay } from '../support/spamd/replay.js'
import { replayCommand } from '../support/spamd/replay-command.js'

const records = loadRecords()
const listPath = new URL('./differences.json', import.meta.url)
type Differences = Record<string, Record<string, { reason: string; instead: string }>>
const listed = (JSON.parse(readFileSync(listPath, 'utf8')) as Differences)['spamd.jsonl'] ?? {}
/** The transcripts that the list speaks of; others follow the same rules. */
const shippedIds = new Set(
  readFileSync(new URL('./spamd.jsonl', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { id: string }).id),
)
const found: Differences[string] = {}
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spamd-golden-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const needsRoot = (record: SpamdRecord): boolean => record.steps.some(({ op }) => op === 'cfg' || op === 'cfgu')
const isRoot = process.geteuid?.() === 0

function expectListed(id: string, names: string[]): void {
  expect(names.filter((name) => DIFFERENCE_RULES[name] === undefined)).toEqual([])
  if (!shippedIds.has(id)) return
  if (names.length > 0) {
    found[id] = { reason: names.join(', '), instead: names.map((name) => DIFFERENCE_RULES[name]!).join('; ') }
  }
  if (process.env.UPDATE_GOLDEN === undefined) expect(listed[id]).toEqual(found[id])
}

afterAll(() => {
  if (process.env.UPDATE_GOLDEN === undefined) return
  const all = JSON.parse(readFileSync(listPath, 'utf8')) as Differences
  writeFileSync(listPath, `${JSON.stringify({ ...all, 'spamd.jsonl': found }, null, 2)}\n`)
})

describe('dialogues, lists and greylisting', () => {
  for (const record of records.filter(({ mode }) => mode === 'run')) {
    const reason = needsRoot(record) && !isRoot ? ' (needs a source port below 1024: run as root)' : ''
    test.skipIf(reason !== '')(`${record.id}${reason}`, async () => {
      expectListed(record.id, await replay(record, folder))
    })
  }
})

describe('command lines that end at once', () => {
  for (const record of records.filter(({ mode }) => mode === 'cmd')) {
    test(record.id, async () => {
      expectListed(record.id, await replayCommand(record, folder))
    })
  }
})

test('every transcript of the list exists', () => {
  expect(Object.keys(listed).filter((id) => !shippedIds.has(id))).toEqual([])
})
