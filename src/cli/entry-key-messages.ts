import type { KeyFailure } from '../app/edit-entries.js'
import { toDisplayText } from '../app/wire-text.js'
import { escapeControl } from '../codec/escape.js'
import type { WireText } from '../domain/entry.js'
import { canonicalPaddedIp } from '../ip/padded-address.js'

/** Keys longer than any real one are shown cut to this many characters. */
const MAX_SHOWN_CHARS = 131_072
const SHORT_SHOWN_CHARS = 64

/** Text of the original for a key that failed, without program name, and how to mend it where that is known. */
export function describeKeyFailure(failure: KeyFailure): { message: string; hint: string | undefined } {
  switch (failure.reason) {
    case 'invalid-ip':
      return { message: `invalid ip address ${shownKey(failure.key)}`, hint: hintForAddress(failure.key) }
    case 'not-email':
      return { message: `not an email address: ${shownKey(failure.key)}`, hint: hintForTrap(failure.key) }
    case 'no-entry':
      return { message: `no entry for ${shownKey(failure.key)}`, hint: hintForAny(failure.key) }
    case 'storage': {
      const call = failure.operation === 'add' ? 'put' : 'del'
      const stored =
        failure.keyCount + failure.doneCount === 1
          ? undefined
          : `the first ${failure.doneCount} keys are done, those behind them are not`
      return { message: `db->${call} failed: ${failure.error.message}`, hint: failure.error.hint ?? stored }
    }
  }
}

/** The hint for a key that is an option behind the keys, where getopt(3) of BSD does not look. */
export function hintForMisplacedOption(key: WireText): string | undefined {
  return /^-[a-zA-Z-]/.test(key) ? 'options go in front of the keys' : undefined
}

function hintForAddress(key: WireText): string | undefined {
  if (key.includes('@')) return 'an e-mail address is added as a spamtrap with -a -T'
  if (/:.*%/.test(key)) return 'leave out the scope behind the %'
  return hintForAny(key)
}

function hintForTrap(key: WireText): string | undefined {
  if (canonicalPaddedIp(key) !== undefined) return 'an ip address is trapped with -a -t'
  return hintForAny(key)
}

function hintForAny(key: WireText): string | undefined {
  if (/^[0-9a-fA-F.:]+\/[0-9]{1,3}$/.test(key)) {
    return 'spamdb keeps single addresses; a network belongs in a list of spamd.conf(5)'
  }
  return hintForMisplacedOption(key)
}

function shownKey(key: WireText): string {
  if (key.length <= MAX_SHOWN_CHARS) return escapeControl(toDisplayText(key))
  return `${escapeControl(toDisplayText(key.slice(0, SHORT_SHOWN_CHARS)))}... (too long)`
}
