/** The checks between an attempt on record and its finding, with answers of the test in the place of DNS. */
import { describe, expect, test } from 'vitest'
import { SenderChecks, type SenderChecksOptions } from '../../../../src/daemon/checks/sender-checks.js'
import type { SpfOpinion } from '../../../../src/daemon/checks/spf-checker.js'
import type { AttemptFinding, TupleOutcome } from '../../../../src/db/store.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { MemoryLogger } from '../../../support/memory-logger.js'
import { PATIENCE } from '../../../support/patience.js'

interface Answers {
  spf?: Promise<SpfOpinion>
  isGood?: boolean
  isHeld?: boolean
  isBlocked?: boolean
  trapsSpfFail?: boolean
  outcome?: Partial<TupleOutcome>
}

const OUTCOME: TupleOutcome = { result: 'repeated', isNewHost: false, evictedCount: 0 }
const NOTHING_YET = {
  spf: {
    ...{ pass: 0, fail: 0, softfail: 0, neutral: 0, none: 0, temperror: 0, permerror: 0, 'too-wide': 0 },
  },
  ...{ skipped: 0, allowListed: 0, held: 0, promoted: 0, opened: 0, trapped: 0 },
}

function opened(answers: Answers) {
  const logger = new MemoryLogger()
  const findings: AttemptFinding[] = []
  const pools: string[] = []
  const announced: unknown[] = []
  let askedCount = 0
  const options = {
    dns: { close: () => undefined },
    spf: answers.spf && {
      isWanted: () => true,
      check: () => {
        askedCount += 1
        return answers.spf
      },
    },
    goodLists: { isInUse: answers.isGood !== undefined, has: async () => answers.isGood === true },
    waitLists: { has: async () => answers.isHeld === true },
    blockLists: { match: () => (answers.isBlocked === true ? [{ listName: 'bl', message: 'm' }] : []) },
    useStore: async (use: (store: unknown) => Promise<unknown>) =>
      use({
        recordFindings: async (batch: readonly AttemptFinding[]) => {
          findings.push(...batch)
          return { outcomes: batch.map(() => ({ ...OUTCOME, ...answers.outcome })) }
        },
      }),
    databasePath: '/db',
    policy: { trapExpireSec: 86_400 },
    clock: new ManualClock(),
    logger,
    sync: { announceHost: (...told: unknown[]) => void announced.push(told) },
    trapsSpfFail: answers.trapsSpfFail === true,
    onPromoted: () => undefined,
    onPool: (network: string, state: string) => void pools.push(`${network} ${state}`),
  } as unknown as SenderChecksOptions
  const checks = new SenderChecks(options)
  const attempt = (ip: string, { mayPromote = true, isRepeated = false } = {}): void =>
    checks.noteRecorded({
      attempt: {
        tuple: { ip, helo: 'h', from: 'a@d.example', to: 'b@example.net' },
        clientIp: ip,
        ...{ trapKey: '', isDomainTrap: false, isLowPriorityMx: false, mayPromote },
      },
      atSec: 1_700_000_000,
      isRepeated,
    })
  const done = () => expect.poll(() => checks.openCount, PATIENCE).toBe(0)
  const messages = () => logger.lines.map(({ message }) => message)
  return { checks, attempt, done, findings, pools, announced, messages, askedCount: () => askedCount }
}

const opinion = (result: SpfOpinion['result']): Promise<SpfOpinion> =>
  Promise.resolve({ result, domain: 'd.example', isOfDomain: true })

test('counts from nothing', () => {
  expect(opened({}).checks.counters).toEqual(NOTHING_YET)
})

test('what waits at the end is not begun any more', async () => {
  let answer: (opinion: SpfOpinion) => void = () => undefined
  const { checks, attempt, askedCount } = opened({
    spf: new Promise((resolve) => {
      answer = resolve
    }),
  })
  for (let n = 0; n < 50; n += 1) attempt(`192.0.2.${n}`)
  expect([askedCount(), checks.openCount]).toEqual([32, 50])
  const closed = checks.close()
  answer({ result: 'fail', domain: 'd.example' })
  await closed
  attempt('198.51.100.1')
  expect([askedCount(), checks.openCount]).toEqual([32, 0])
})

describe('a finding', () => {
  test.each([
    ['of a list that lets in', { isGood: true }, { isAllowListed: true, mayPromote: true }],
    ['of a pass', { spf: opinion('pass') }, { spfPass: { domain: 'd.example', isOfDomain: true } }],
    ['of a fail that traps', { spf: opinion('fail'), trapsSpfFail: true }, { isSpfFail: true }],
    [
      'of one that both lists name: it waits',
      { isGood: true, isHeld: true },
      { isAllowListed: true, mayPromote: false },
    ],
    [
      'of one that spamd blocks',
      { isGood: true, isBlocked: true },
      { isAllowListed: true, mayPromote: false },
    ],
  ])('%s is stored', async (_, answers, expected) => {
    const { attempt, done, findings } = opened(answers)
    attempt('192.0.2.1')
    await done()
    expect(findings.map(({ attempt, ...finding }) => ({ ...attempt, ...finding }))).toMatchObject([expected])
  })

  test('of each of many that come together is kept until it is stored', async () => {
    const { attempt, done, findings, checks } = opened({ isGood: true })
    const ips = Array.from({ length: 30 }, (_, n) => `192.0.${n}.1`)
    for (const ip of ips) attempt(ip)
    await done()
    expect(findings.map(({ attempt: { clientIp } }) => clientIp).sort()).toEqual(ips.sort())
    expect(checks.counters).toEqual({ ...NOTHING_YET, allowListed: 30 })
  })

  test.each([
    ['a fail that does not trap', { spf: opinion('fail') }],
    ['no list that names it', { isGood: false }],
  ])('of %s is none', async (_, answers) => {
    const { attempt, done, findings } = opened(answers)
    attempt('192.0.2.1', { isRepeated: true })
    await done()
    expect(findings).toEqual([])
  })

  test.each([
    ['waited for the list alone', true, false, 1],
    ['has not waited long enough', false, false, 0],
    ['is still named', true, true, 0],
  ])('that the list lets go of one that %s', async (_, isRepeated, isHeld, count) => {
    const { attempt, done, findings, checks } = opened({ isHeld })
    attempt('192.0.2.1', { mayPromote: false, isRepeated })
    await done()
    expect(findings).toHaveLength(count)
    expect(checks.counters).toEqual({ ...NOTHING_YET, held: isHeld ? 1 : 0 })
  })
})

describe('what the store made of it', () => {
  test.each([
    [{ spf: opinion('pass') }, 'pool 192.0.2.0/24 opened by SPF of d.example'],
    [{ isGood: true }, 'pool 192.0.2.0/24 opened'],
  ])('an opened network is counted, told and logged', async (answers, message) => {
    const { attempt, done, checks, pools, messages } = opened({
      ...answers,
      outcome: { opened: ['192.0.2.0/24'], closed: ['198.51.100.0/24'] },
    })
    attempt('192.0.2.1')
    await done()
    expect(checks.counters.opened).toBe(1)
    expect(pools).toEqual(['198.51.100.0/24 closed', '192.0.2.0/24 open'])
    expect(messages()).toContain(message)
  })

  test('a trap is counted, and told until when it is on record', async () => {
    const { attempt, done, checks, announced } = opened({
      spf: opinion('fail'),
      trapsSpfFail: true,
      outcome: { result: 'trapped-spf', isNewHost: false, trapExpire: 0 },
    })
    attempt('192.0.2.1')
    await done()
    expect(checks.counters.trapped).toBe(1)
    expect(announced).toEqual([['192.0.2.1', { kind: 'TRAPPED', expire: 0 }]])
  })

  test.each([
    [{ spf: opinion('pass') }, 5, 'whitelisting 192.0.2.1 by SPF of d.example'],
    [{ isGood: true }, undefined, 'whitelisting 192.0.2.1 by a DNS allow list'],
    [{ isGood: true }, 5, 'whitelisting 192.0.2.1'],
  ])('a promotion says by what', async (answers, waitedSec, message) => {
    const { attempt, done, checks, messages } = opened({
      ...answers,
      outcome: { result: 'promoted', isNewHost: true, ...(waitedSec === undefined ? {} : { waitedSec }) },
    })
    attempt('192.0.2.1')
    await done()
    expect(checks.counters.promoted).toBe(1)
    expect(messages()).toContain(message)
  })
})
