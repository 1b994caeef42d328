/** Which packet log is watched, in the original's words and in those of the kernel's filter. */
import type { SightingRules } from '../../app/read-sighting.js'
import { escapeControl } from '../../codec/escape.js'
import { isNflogDevice } from '../../platform/live-capture-source.js'

/** The original's first line, trailing blank included. */
export function listeningLine(device: string, rules: SightingRules): string {
  const where = rules.interfaceName === undefined ? 'all interfaces.' : rules.interfaceName
  const scope = { in: 'Inbound direction only.', out: 'Outbound direction only.', both: '' }[rules.direction]
  return `Listening on ${escapeControl(device)} for ${where} ${scope}`
}

/**
 * What the kernel can sort out by itself. nflog takes no filter. IPv6 is let through whole: an extension
 * header would hide its TCP header from the filter.
 */
export function kernelFilter(device: string, rules: SightingRules): string {
  if (isNflogDevice(device)) return ''
  const ports = rules.ports.map((port) => `dst port ${port}`).join(' or ')
  const interfaceTest = rules.interfaceName === undefined ? '' : ` and on ${rules.interfaceName}`
  return `action pass${interfaceTest} and (ip6 or (ip and (${ports}) and tcp[13] & 0x12 = 0x2))`
}
