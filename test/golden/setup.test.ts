/**
 * The transcripts of OpenBSD's spamd-setup, replayed through ours. What must come out is predicted from the
 * input with the wanted differences as rules (test/support/setup); where that is not what was recorded, a
 * rule must say why, and test/golden/differences.json says what ours does instead.
 *
 * UPDATE_GOLDEN=1 rewrites the entries of setup.jsonl in differences.json.
 */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { predict } from '../support/setup/predict.js'
import { bytesOf, replay, type SetupOutcome, type SetupTranscript } from '../support/setup/replay.js'

const TRANSCRIPTS = join(import.meta.dirname, 'setup.jsonl')
const DIFFERENCES = join(import.meta.dirname, 'differences.json')
const MAX_SUMMARY = 300

const transcripts = readFileSync(TRANSCRIPTS, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as SetupTranscript)

type Differences = Record<string, Record<string, { reason: string; instead: string }>>
const differences = JSON.parse(readFileSync(DIFFERENCES, 'utf8')) as Differences
const listed = differences['setup.jsonl'] ?? {}
const found: Differences[string] = {}

/** Lines that only we have: hints, the place of findings about spamd.conf, and what was odd about a list (-d). */
function isExtraLine(line: string): boolean {
  return (
    line.startsWith('spamd-setup: hint: ') ||
    /^spamd-setup: \{CONF\}:\d+:\d+: /.test(line) ||
    /^spamd-setup: .*: (\d+ lines? holds? no address, first line \d+: .*|.*: \d+(, first line \d+)?)$/.test(line)
  )
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

/** The connections, stderr and exit code in one string, short enough for a file that people read. */
function summaryOf(outcome: SetupOutcome): string {
  const text = JSON.stringify({
    rc: outcome.rc,
    stderr: linesOf(outcome.stderr).filter((line) => !isExtraLine(line)),
    connections: outcome.connections,
    pfctl: outcome.pfctl.map(({ argv, stdin }) => [argv.join(' '), stdin]),
  })
  if (text.length <= MAX_SUMMARY) return text
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 16)
  return `${text.slice(0, MAX_SUMMARY)}... sha256 ${digest}`
}

function isAsRecorded(transcript: SetupTranscript, outcome: SetupOutcome): boolean {
  const recordedCalls = transcript.pfctl.map(({ stdin }) => bytesOf(stdin).toString('latin1'))
  return (
    outcome.rc === transcript.rc &&
    outcome.stdout === transcript.stdout &&
    outcome.stderr === transcript.stderr &&
    sameTexts(outcome.connections, transcript.connections.map((bytes) => bytesOf(bytes).toString('latin1'))) &&
    sameTexts(outcome.pfctl.map(({ stdin }) => stdin), recordedCalls)
  )
}

function sameTexts(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((text, index) => text === right[index])
}

const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('setup goldens skipped: only root may send from a port below 1024\n')

describe.skipIf(!isRoot)('transcripts of spamd-setup', () => {
  test.each(transcripts)('$id', async (transcript) => {
    const outcome = await replay(transcript)
    const prediction = await predict(transcript)
    const lines = linesOf(outcome.stderr).filter((line) => !isExtraLine(line))
    expect(lines).toHaveLength(prediction.stderr.length)
    for (const [index, wanted] of prediction.stderr.entries()) {
      if (typeof wanted === 'string') expect(lines[index]).toBe(wanted)
      else expect(lines[index]).toMatch(wanted)
    }
    expect(outcome.rc).toBe(prediction.rc)
    expect(outcome.connections).toEqual(prediction.connections)
    expect(outcome.urls).toEqual(prediction.urls)
    expect(outcome.pfctl).toEqual(
      prediction.pfctlStdin === undefined
        ? []
        : [{ argv: ['-q', '-t', 'spamd', '-T', 'replace', '-f', '-'], stdin: prediction.pfctlStdin }],
    )
    if (transcript.argv.join('').includes('n')) {
      for (const line of linesOf(outcome.stdout)) {
        expect(line).toMatch(/^(blacklist .*|table spamd): (\d+ would be added, \d+ removed, \d+ unchanged|left unchanged, .*)$/)
      }
    } else expect(outcome.stdout).toBe('')

    const difference = listed[transcript.id]
    if (isAsRecorded(transcript, outcome)) {
      expect(difference).toBeUndefined()
      return
    }
    const rules = [...prediction.rules]
    if (lines.length < linesOf(outcome.stderr).length) rules.push('more is told about what is odd')
    if (outcome.stdout !== '') rules.push('with -n and -d what would change is printed')
    expect(rules, 'a difference from the recording needs a rule').not.toEqual([])
    found[transcript.id] = { reason: rules.join('; '), instead: summaryOf(outcome) }
    if (difference !== undefined && process.env.UPDATE_GOLDEN !== '1') {
      expect(summaryOf(outcome)).toBe(difference.instead)
    }
  })

  afterAll(() => {
    if (process.env.UPDATE_GOLDEN !== '1') return
    const current = JSON.parse(readFileSync(DIFFERENCES, 'utf8')) as Differences
    writeFileSync(DIFFERENCES, `${JSON.stringify({ ...current, 'setup.jsonl': found }, undefined, 2)}\n`)
  })
})
