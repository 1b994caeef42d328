import { canonicalIp } from './address.js'

/**
 * Canonical text of a numeric address that may pad the parts of a dotted quad with zeros: `010.1.1.1` is
 * 10.1.1.1, decimal, as inet_pton(3) of OpenBSD reads it and so as spamdb(8) takes its keys. Only for
 * addresses typed by an administrator or stored by the original: other systems read such text as octal.
 */
export function canonicalPaddedIp(text: string): string | undefined {
  const canonical = canonicalIp(text)
  if (canonical !== undefined || !text.includes('.')) return canonical
  const match = /^(.*:(?=[0-9]{1,4}\.))?([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+)$/.exec(text)
  if (match === null) return undefined
  return canonicalIp((match[1] ?? '') + match[2]!.replace(/(^|\.)0+(?=[0-9])/g, '$1'))
}
