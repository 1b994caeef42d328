import type { KeyFailure } from '../../app/database/edit-entries.js'
import { plainSpamtrap } from '../../app/database/typed-spamtrap.js'
import { toDisplayText } from '../../app/wire-text.js'
import { escapeControl } from '../../codec/escape.js'
import type { WireText } from '../../domain/entry.js'
import { canonicalPaddedIp } from '../../ip/padded-address.js'
import type { AppError } from '../../platform/app-error.js'

/** Keys longer than any real one are shown truncated to this many characters. */
const MAX_SHOWN_CHARS = 131_072
const SHORT_SHOWN_CHARS = 64
/** 1.0.0.0: no host has an address below it. Source: RFC 1122 section 3.2.1.3. */
const LOWEST_LONE_NUMBER = 0x0100_0000

/** A key that could not be looked up in the database. */
export interface UnreadableKey {
  reason: 'unreadable'
  error: AppError
}

/** Text of the original for a key that failed, without program name, and how to fix it if that is known. */
export function describeKeyFailure(failure: KeyFailure | UnreadableKey): {
  message: string
  hint: string | undefined
} {
  switch (failure.reason) {
    case 'invalid-ip':
      return { message: `invalid ip address ${shownKey(failure.key)}`, hint: hintForAddress(failure.key) }
    case 'not-email':
      return { message: `not an email address: ${shownKey(failure.key)}`, hint: hintForTrap(failure.key) }
    case 'no-entry':
      return { message: `no entry for ${shownKey(failure.key)}`, hint: hintForHost(failure.key) }
    case 'unreadable':
      return { message: `db->get failed: ${failure.error.message}`, hint: failure.error.hint }
    case 'storage': {
      const call = failure.operation === 'add' ? 'put' : 'del'
      const hints = [failure.error.hint, hintForUndone(failure)].filter((hint) => hint !== undefined)
      return {
        message: `db->${call} failed: ${failure.error.message}`,
        hint: hints.length === 0 ? undefined : hints.join('; '),
      }
    }
  }
}

/** Which of several keys were processed, so that a script can continue with the others. */
function hintForUndone({ keyCount, doneCount }: { keyCount: number; doneCount: number }): string | undefined {
  if (keyCount + doneCount === 1) return undefined
  return doneCount === 0
    ? 'none of the keys was processed'
    : `the first ${doneCount} keys were processed; the remaining keys were not`
}

/** The hint for a key that is an option after the keys, which getopt(3) of BSD does not recognise. */
export function hintForMisplacedOption(key: WireText): string | undefined {
  return /^-[a-zA-Z-]/.test(key) ? 'put options before the keys' : undefined
}

function hintForAddress(key: WireText): string | undefined {
  if (key.includes('@')) return 'add an e-mail address as a spamtrap with -a -T'
  if (/:.*%/.test(key)) return 'leave out the scope after the %'
  return hintForHost(key)
}

function hintForHost(key: WireText): string | undefined {
  if (canonicalPaddedIp(key) === undefined && isShortIpv4(key))
    return 'write all four numbers of the address, in decimal'
  return hintForAny(key)
}

function hintForTrap(key: WireText): string | undefined {
  if (canonicalPaddedIp(key) !== undefined) return 'trap an ip address with -a -t'
  const plain = plainSpamtrap(key)
  if (plain !== undefined) return `write the address alone: ${escapeControl(toDisplayText(plain))}`
  if (key.includes('@')) return 'a spamtrap is one whole address, such as trap@example.org'
  return hintForAny(key)
}

function hintForAny(key: WireText): string | undefined {
  if (/^[0-9a-fA-F.:]+\/[0-9]{1,3}$/.test(key)) {
    return 'spamdb stores single addresses; put a network into a list of spamd.conf(5)'
  }
  return hintForMisplacedOption(key)
}

/**
 * True for an IPv4 address in the form of inet_aton(3): fewer than four numbers, the last of which stands for
 * the rest of the address, possibly hexadecimal (`10.1`, `0x7f000001`). A lone number below 1.0.0.0 may be
 * anything.
 */
function isShortIpv4(key: WireText): boolean {
  if (!/^(?:0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10})(?:\.(?:0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10})){0,3}$/.test(key)) {
    return false
  }
  const numbers = key.split('.').map(Number)
  const last = numbers.pop()!
  if (numbers.length === 0 && last < LOWEST_LONE_NUMBER) return false
  return numbers.every((number) => number < 256) && last < 256 ** (4 - numbers.length)
}

function shownKey(key: WireText): string {
  if (key.length <= MAX_SHOWN_CHARS) return escapeControl(toDisplayText(key))
  return `${escapeControl(toDisplayText(key.slice(0, SHORT_SHOWN_CHARS)))}... (too long)`
}
