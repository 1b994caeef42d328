import { escapeControl } from '../../codec/escape.js'
import type { EntryKey } from '../../domain/entry.js'

/** A key as the log shows it: the fields of a tuple joined by escaped line feeds. */
export function describeKey(key: EntryKey): string {
  if (key.kind === 'host' || key.kind === 'pool') return key.ip
  if (key.kind === 'spamtrap') return escapeControl(key.address)
  return escapeControl([key.ip, key.helo, key.from, key.to].join('\n'))
}
