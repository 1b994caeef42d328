/** Advice of `spamdctl advise` on mail from many addresses, for people and for programs. */

import type { AllowCandidate, PoolAdvice, PoolMail } from '../../app/pool-advice.js'
import { toDisplayText } from '../../app/wire-text.js'
import { countText } from '../../codec/count-text.js'
import { formatDuration } from '../../codec/duration.js'
import { escapeControl } from '../../codec/escape.js'
import { type Terminal, wrapped } from './terminal.js'

/** Sentences, each with its numbers; empty when no mail came from several addresses. */
export function renderPoolAdvice(
  { oneNetwork, spread, candidates }: PoolAdvice,
  { terminal, hasPoolKeys, isCut }: { terminal: Terminal; hasPoolKeys: boolean; isCut: boolean },
): string {
  const sentences: string[] = []
  if (oneNetwork.mails > 0) {
    const seen = `${ofSenders(oneNetwork)} came from three or more addresses of one /24 or /64: ${outcome(oneNetwork)}`
    sentences.push(
      hasPoolKeys
        ? `pools: ${seen}; spamd already treats such pools as one client`
        : `advice: spamd --grey-prefix4 24 --grey-prefix6 64: ${seen}`,
    )
  }
  if (spread.mails > 0) {
    sentences.push(
      `pools: ${ofSenders(spread)} came from several networks, which no pool key covers: ${outcome(spread)}`,
    )
  }
  // There were too many tries to examine them all: see readDeferredHistory.
  if (isCut) {
    sentences.push(
      'note: more mail came from several addresses than was examined; the counts above cover only mail tried from the most addresses. Use a shorter --since to examine a larger share',
    )
  }
  for (const candidate of candidates) sentences.push(candidateText(candidate))
  return sentences.map((sentence) => wrapped(terminal, '', escapeControl(sentence))).join('')
}

/** Only DNS knows whether the SPF record fits; the printed command queries it. */
function candidateText(candidate: AllowCandidate): string {
  const { domain, addresses, networks, mails } = candidate
  const name = toDisplayText(domain)
  return `advice: ${name} sent ${countText(mails, 'mail')} from ${countText(addresses, 'address', 'addresses')} in ${countText(networks, 'network')}: ${outcome(candidate)}; check its SPF record: spamdctl allow add --dry-run ${name}`
}

function ofSenders({ mails, senders }: PoolMail): string {
  return `${countText(mails, 'mail')} of ${countText(senders, 'sender')}`
}

function outcome({ mails, lost, meanWaitSec }: Pick<PoolMail, 'mails' | 'lost' | 'meanWaitSec'>): string {
  const passed = mails - lost
  const wait = meanWaitSec === undefined ? '' : ` after ${formatDuration(Math.round(meanWaitSec))} on average`
  return `${passed} passed${wait}, ${lost} did not`
}

/** The same as plain data. */
export function poolsJson({ candidates, ...sums }: PoolAdvice): object {
  return { ...sums, candidates: candidates.map((row) => ({ ...row, domain: toDisplayText(row.domain) })) }
}
