/** Under which texts a recipient is looked for among the spamtraps and allowed domains. */
import { formatRecipient, type RecipientAddress, readRecipient } from '../../codec/smtp/recipient-address.js'
import type { WireText } from '../../domain/entry.js'
import { trapKeyOf } from '../../domain/recipient.js'

export interface RecipientKeys {
  /** What a mail server would make of the recipient: what the allowed domains are compared with. */
  address: WireText
  /** The recipient has no domain and belongs to every mail server: `<postmaster>`, `<>`. */
  isOfAnyDomain: boolean
  /** Each is looked for among the spamtraps, `address` first. */
  spamtraps: readonly WireText[]
}

/**
 * Keys of a recipient. `to` is its word in the tuple, `argument` all that stood behind the colon of its command;
 * `delimiters` are the characters that begin a detail (`+`), if any.
 */
export function recipientKeysOf(to: WireText, argument: WireText, delimiters: string): RecipientKeys {
  const recipient = readRecipient(argument)
  const address = formatRecipient(recipient)
  const forms: RecipientAddress[] = [recipient]
  // A server that is the last domain goes on with the address in front of it.
  const innerAt = recipient.local.lastIndexOf('@')
  if (innerAt > 0) {
    forms.push({ local: recipient.local.slice(0, innerAt), domain: recipient.local.slice(innerAt + 1) })
  }
  const spamtraps = new Set<WireText>()
  for (const form of forms) {
    spamtraps.add(formatRecipient(form))
    spamtraps.add(formatRecipient({ ...form, local: withoutDetail(form.local, delimiters) }))
  }
  // The rule of the original: a spamtrap that was stored in a strange spelling fits that spelling.
  spamtraps.add(trapKeyOf(to))
  return { address, isOfAnyDomain: address === '' || address === 'postmaster', spamtraps: [...spamtraps] }
}

function withoutDetail(local: WireText, delimiters: string): WireText {
  for (let index = 1; index < local.length; index += 1) {
    if (delimiters.includes(local[index]!)) return local.slice(0, index)
  }
  return local
}
