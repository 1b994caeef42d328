/** SPF records of strangers: whatever they are, a check and a walk end, with few questions, and agree. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DnsAnswer, DnsDialogue, DnsQuestion } from '../../src/codec/dns/dns-question.js'
import { checkHost } from '../../src/codec/spf/check-host.js'
import { collectRanges, isTooWide } from '../../src/codec/spf/collect-ranges.js'
import { RangeTable } from '../../src/ip/range-table.js'
import { corpusFolder } from '../support/corpus.js'
import { demand } from './demand.js'

/** Ten terms of ten hosts each, in both families. */
const MOST_QUESTIONS = 1 + 10 * 21
const RESULTS = new Set(['pass', 'fail', 'softfail', 'neutral', 'none', 'temperror', 'permerror'])
/** Terms that depend on the client: a check of one client may end in an error by them where a walk does not. */
const CLIENT_TERM = /%\{|ptr/i
const ERRORS = new Set(['temperror', 'permerror'])
const CLIENTS = ['192.0.2.1', '192.0.2.77', '2001:db8::1']

/** Pieces of records. */
export const SPF_TOKENS = [
  ...[
    'v=spf1',
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
    '+',
    '-',
    '~',
    '?',
  ],
  ...[
    '%{i}',
    '%{l1r-}',
    '%{d2}',
    '%{p}',
    '%{',
    '%%',
    '%_',
    '/24',
    '//64',
    '/0',
    ' ',
    '.',
    'd.example',
    '192.0.2.1',
  ],
  ...['2001:db8::1', '::ffff:192.0.2.1', '\0', '\n', '\xff'],
]

/** The records of the cases. */
export function spfRecords(): Buffer[] {
  const groups = JSON.parse(readFileSync(join(corpusFolder('spf'), 'cases.json'), 'utf8')) as {
    zone: Record<string, { TXT?: string[] }>
  }[]
  const texts = groups.flatMap(({ zone }) => Object.values(zone).flatMap(({ TXT = [] }) => TXT))
  return texts.filter((text) => text !== '').map((text) => Buffer.from(text, 'latin1'))
}

/** Every name of DNS has the record, and every host the same address. */
export function checkSpf(bytes: Buffer): void {
  const record = bytes.toString('latin1')
  const answer = ({ type }: DnsQuestion): DnsAnswer => {
    if (type === 'TXT') return { status: 'found', values: [record] }
    const values = { A: ['192.0.2.1'], AAAA: ['2001:db8::1'], MX: ['h.example'], PTR: ['d.example'] }[type]
    return { status: 'found', values }
  }
  const run = <Result>(dialogue: DnsDialogue<Result>): Result => {
    let count = 0
    let step = dialogue.next([])
    while (step.done !== true) {
      count += step.value.length
      demand(count <= MOST_QUESTIONS, 'more questions than the limits allow')
      step = dialogue.next(step.value.map(answer))
    }
    return step.value
  }
  const collected = run(collectRanges('d.example'))
  if (collected.ok) isTooWide(collected.ranges)
  for (const clientIp of CLIENTS) {
    const { result } = run(checkHost({ clientIp, domain: 'd.example', localPart: 'me', helo: 'h.example' }))
    demand(RESULTS.has(result), `${result} is no result`)
    if (collected.ok && new RangeTable(collected.ranges.sure).has(clientIp)) {
      const isError = ERRORS.has(result) && CLIENT_TERM.test(record)
      demand(result === 'pass' || isError, `the walk is sure of ${clientIp}, the check says ${result}`)
    }
  }
}
