/** The texts under which a recipient is looked up among the spamtraps and allowed domains. */
import { formatRecipient, type RecipientAddress, readRecipient } from '../../codec/smtp/recipient-address.js'
import type { WireText } from '../../domain/entry.js'
import { trapKeyOf } from '../../domain/recipient.js'

export interface RecipientKeys {
  /** The recipient as a mail server would read it: compared with the allowed domains. */
  address: WireText
  /** The recipient has no domain and belongs to every mail server: `<postmaster>`, `<>`. */
  isOfAnyDomain: boolean
  /** Each is looked up among the spamtraps, `address` first. */
  spamtraps: readonly WireText[]
}

/**
 * Keys of a recipient. `to` is its word in the tuple, `argument` everything after the colon of its command;
 * `delimiters` are the characters that start a subaddress (`+`), if any.
 */
export function recipientKeysOf(to: WireText, argument: WireText, delimiters: string): RecipientKeys {
  const recipient = readRecipient(argument)
  const address = formatRecipient(recipient)
  const forms: RecipientAddress[] = [recipient]
  // A server that is responsible for the last domain continues with the address before it.
  const innerAt = recipient.local.lastIndexOf('@')
  if (innerAt > 0) {
    forms.push({ local: recipient.local.slice(0, innerAt), domain: recipient.local.slice(innerAt + 1) })
  }
  const spamtraps = new Set<WireText>()
  for (const form of forms) {
    spamtraps.add(formatRecipient(form))
    spamtraps.add(formatRecipient({ ...form, local: withoutDetail(form.local, delimiters) }))
  }
  // The rule of the original: a spamtrap stored in an unusual spelling matches that spelling.
  spamtraps.add(trapKeyOf(to))
  return { address, isOfAnyDomain: address === '' || address === 'postmaster', spamtraps: [...spamtraps] }
}

function withoutDetail(local: WireText, delimiters: string): WireText {
  for (let index = 1; index < local.length; index += 1) {
    if (delimiters.includes(local[index]!)) return local.slice(0, index)
  }
  return local
}
