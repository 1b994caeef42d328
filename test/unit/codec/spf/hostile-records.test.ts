import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { DnsAnswer, DnsDialogue } from '../../../../src/codec/dns/dns-question.js'
import { checkHost, type SpfRequest, type SpfVerdict } from '../../../../src/codec/spf/check-host.js'
import { collectRanges } from '../../../../src/codec/spf/collect-ranges.js'
import { parseSpf } from '../../../../src/codec/spf/spf-record.js'
import { answerFromZone, type Zone } from './answer-from-zone.js'

const CLIENT: SpfRequest = { clientIp: '192.0.2.1', domain: 'd.example', helo: 'h.example', localPart: 'me' }
const check = (zone: Zone, asked: string[] = [], request = CLIENT): SpfVerdict =>
  answerFromZone(checkHost(request), zone, asked)
/** One mx with ten hosts each, ten times, is what a domain may cost at most: a bound for anything below. */
const MOST_QUESTIONS = 1 + 10 * 11

describe('hostile SPF records', () => {
  test('a record of all kinds of terms costs a bounded number of questions', () => {
    const hosts = Array.from({ length: 10 }, (_, index): [number, string] => [index, `h${index}.example`])
    const zone: Zone = {
      'd.example': { TXT: [`v=spf1 ${'mx:many.example '.repeat(200)}-all`] },
      'many.example': { MX: hosts },
      ...Object.fromEntries(hosts.map(([, host]) => [host, { A: ['198.51.100.1'] }])),
    }
    const asked: string[] = []
    expect(check(zone, asked).result).toBe('permerror')
    expect(asked.length).toBeLessThanOrEqual(MOST_QUESTIONS)
    const walked: string[] = []
    answerFromZone(collectRanges('d.example'), zone, walked)
    expect(walked.length).toBeLessThanOrEqual(1 + 10 * 21)
  })

  test('eleven mail hosts are an error, before any is asked for', () => {
    const hosts = Array.from({ length: 11 }, (_, index): [number, string] => [index, `h${index}.example`])
    const asked: string[] = []
    expect(check({ 'd.example': { TXT: ['v=spf1 mx'], MX: hosts } }, asked).result).toBe('permerror')
    expect(asked).toEqual(['TXT d.example', 'MX d.example'])
  })

  test('hundreds of names of a client are asked for ten times, and twice as %{p}', () => {
    const names = Array.from({ length: 300 }, (_, index) => `n${index}.example`)
    const asked: string[] = []
    const zone: Zone = {
      'd.example': { TXT: ['v=spf1 exists:%{p}.a.example exists:%{p}.b.example ptr -all'] },
      '1.2.0.192.in-addr.arpa': { PTR: names },
    }
    check(zone, asked)
    expect(asked.filter((question) => question.startsWith('A n'))).toHaveLength(10)
  })

  test('records that include each other end', () => {
    const zone: Zone = {
      'd.example': { TXT: ['v=spf1 include:e.example -all'] },
      'e.example': { TXT: ['v=spf1 include:d.example -all'] },
    }
    expect(check(zone).result).toBe('permerror')
  })

  test('thousands of addresses of one name are compared, and a record of 64 KiB is none', () => {
    const many = Array.from({ length: 4000 }, (_, index) => `10.0.${index >> 8}.${index & 255}`)
    const zone: Zone = { 'd.example': { TXT: [`v=spf1 ${'a '.repeat(9)}a -all`], A: many } }
    const startMs = performance.now()
    expect(check(zone).result).toBe('fail')
    expect(performance.now() - startMs).toBeLessThan(1000)
    expect(parseSpf(`v=spf1 ${'ip4:10.0.0.1 '.repeat(5000)}`).ok).toBe(false)
  })

  test('values of a client that are no addresses match nothing', () => {
    const zone: Zone = { 'd.example': { TXT: ['v=spf1 a/0 -all'], A: ['not an address', '::1', '1.2'] } }
    expect(check(zone).result).toBe('fail')
  })

  test('text of a stranger in HELO and sender stays one name', () => {
    const asked: string[] = []
    const zone: Zone = { 'd.example': { TXT: ['v=spf1 exists:%{h}.x.example exists:%{l}.y.example -all'] } }
    const request = { ...CLIENT, helo: 'a\u0000b\n.evil', localPart: '..'.repeat(400) }
    expect(check(zone, asked, request).result).toBe('fail')
    for (const question of asked) expect(question.length).toBeLessThan(270)
  })

  test('any record and any answers: a result, and a bounded number of questions', () => {
    const word = fc.constantFrom(
      'a',
      'mx',
      'ptr',
      'all',
      'include:',
      'exists:',
      'redirect=',
      'exp=',
      'ip4:',
      'ip6:',
      '%{',
      '}',
      '%{i}',
      '%{l1r-}',
      '%{p}',
      'd.example',
      'e.example',
      '/',
      '//',
      '0',
      '32',
      '129',
      '.',
      '-',
      '~',
      '?',
      '+',
      ' ',
      ' ',
      ' ',
      '192.0.2.1',
      '2001:db8::',
      '\u0000',
      '\u00e9',
    )
    const text = fc.array(word, { maxLength: 40 }).map((words) => `v=spf1 ${words.join('')}`)
    const answer: fc.Arbitrary<DnsAnswer> = fc.oneof(
      fc.constant<DnsAnswer>({ status: 'none' }),
      fc.constant<DnsAnswer>({ status: 'failed' }),
      fc
        .array(
          fc.oneof(
            text,
            text,
            fc.string(),
            fc.constantFrom('192.0.2.1', '192.0.2.9', '2001:db8::1', 'd.example'),
          ),
          {
            minLength: 1,
            maxLength: 12,
          },
        )
        .map((values): DnsAnswer => ({ status: 'found', values })),
    )
    const results = ['pass', 'fail', 'softfail', 'neutral', 'none', 'temperror', 'permerror']
    fc.assert(
      fc.property(fc.array(answer, { minLength: 1, maxLength: 30 }), fc.boolean(), (answers, isWalk) => {
        let at = 0
        let questionCount = 0
        const run = <Result>(dialogue: DnsDialogue<Result>): Result => {
          let step = dialogue.next([])
          while (step.done !== true) {
            questionCount += step.value.length
            step = dialogue.next(step.value.map(() => answers[at++ % answers.length]!))
          }
          return step.value
        }
        if (isWalk) expect(run(collectRanges('d.example'))).toHaveProperty('ok')
        else expect(results).toContain(run(checkHost(CLIENT)).result)
        expect(questionCount).toBeLessThan(2 * MOST_QUESTIONS)
      }),
      { numRuns: 2000 },
    )
  })
})
