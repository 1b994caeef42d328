import type { DnsAnswer, DnsDialogue, DnsQuestion } from '../../../../src/codec/dns/dns-question.js'

/** What a name of a zone holds; `timeout`: any other question about it gets no answer. */
export interface ZoneEntry {
  A?: string[]
  AAAA?: string[]
  MX?: [number, string][]
  PTR?: string[]
  TXT?: string[]
  CNAME?: string[]
  timeout?: boolean
}

export type Zone = Readonly<Record<string, ZoneEntry>>

/** Runs a dialogue on a zone; `asked` gets every question, as `TYPE name`. */
export function answerFromZone<Result>(
  dialogue: DnsDialogue<Result>,
  zone: Zone,
  asked: string[] = [],
): Result {
  let step = dialogue.next([])
  while (step.done !== true) {
    const questions = step.value
    asked.push(...questions.map(({ type, name }) => `${type} ${name}`))
    step = dialogue.next(questions.map((question) => answerOf(question, zone)))
  }
  return step.value
}

function answerOf({ type, name }: DnsQuestion, zone: Zone, hop = 0): DnsAnswer {
  const entry = Object.hasOwn(zone, name) ? zone[name]! : undefined
  const values = type === 'MX' ? entry?.MX?.map(([, host]) => host) : entry?.[type]
  if (values !== undefined && values.length > 0) return { status: 'found', values }
  const [alias] = entry?.CNAME ?? []
  if (alias !== undefined && hop < 8) {
    return answerOf({ type, name: alias.toLowerCase().replace(/\.$/, '') }, zone, hop + 1)
  }
  return { status: alias !== undefined || entry?.timeout === true ? 'failed' : 'none' }
}
