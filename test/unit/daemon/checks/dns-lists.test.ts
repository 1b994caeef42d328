import { expect, test } from 'vitest'
import { parseDnsList } from '../../../../src/codec/dns/dns-list.js'
import type { DnsAnswer } from '../../../../src/codec/dns/dns-question.js'
import { DnsLists } from '../../../../src/daemon/checks/dns-lists.js'
import type { DnsClient } from '../../../../src/platform/dns-client.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { MemoryLogger } from '../../../support/memory-logger.js'

const found = (value: string): DnsAnswer => ({ status: 'found', values: [value] })
const LISTED = found('127.0.0.2')
const NONE: DnsAnswer = { status: 'none' }

/** Two lists; an answer is that of the zone of its question, undefined if there is none in the cache, or in time. */
function opened(answers: Record<string, DnsAnswer | undefined>) {
  const answerTo = ({ name }: { name: string }) => answers[name.replace(/^1\.2\.0\.192\./, '')]
  const dns = {
    peek: answerTo,
    run: async (dialogue: Generator<readonly { name: string }[], unknown, readonly unknown[]>) => {
      const questions = dialogue.next().value as readonly { name: string }[]
      const heard = questions.map(answerTo)
      return heard.includes(undefined) ? undefined : dialogue.next(heard).value
    },
  } as unknown as DnsClient
  const logger = new MemoryLogger()
  const zones = Object.keys(answers).map((zone) => parseDnsList(zone)!)
  return { lists: new DnsLists(zones, { dns, clock: new ManualClock(), logger }), logger }
}

test.each([
  ['neither lists it', NONE, NONE, 'unlisted', false],
  ['the first lists it', LISTED, NONE, 'listed', true],
  ['the second lists it', NONE, LISTED, 'listed', true],
  ['one has failed', { status: 'failed' }, NONE, 'unlisted', false],
  ['one is not known yet', undefined, NONE, 'unknown', false],
  ['one is not known yet, and the other lists it', undefined, LISTED, 'listed', false],
] as const)('%s', async (_, one, other, known, isListed) => {
  const { lists, logger } = opened({ 'one.example': one, 'other.example': other })
  expect(lists.known('192.0.2.1')).toBe(known)
  expect(await lists.has('192.0.2.1')).toBe(isListed)
  expect(logger.lines).toEqual([])
})

test('a zone that refuses lists nobody, and is told of once', async () => {
  const { lists, logger } = opened({ 'one.example': found('127.255.255.254'), 'other.example': NONE })
  for (let time = 0; time < 2; time += 1) {
    expect(lists.known('192.0.2.1')).toBe('unlisted')
    expect(await lists.has('192.0.2.1')).toBe(false)
  }
  expect(logger.lines.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^one\.example does not answer queries/) as string,
  ])
})

test('without any list nothing is asked', async () => {
  const { lists } = opened({})
  expect([lists.isInUse, lists.known('192.0.2.1'), await lists.has('192.0.2.1')]).toEqual([
    false,
    'unlisted',
    false,
  ])
  expect(opened({ 'one.example': NONE }).lists.isInUse).toBe(true)
})
