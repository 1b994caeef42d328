import type { TableContent } from '../../src/firewall/backend.js'

/** Table content made of prefix texts, unchanged; a colon marks IPv6. */
export function contentOf(prefixes: readonly string[]): TableContent {
  const part = (wanted: readonly string[]) => ({
    text: Buffer.from(wanted.map((prefix) => `${prefix}\n`).join('')),
    count: wanted.length,
  })
  return {
    ipv4: part(prefixes.filter((prefix) => !prefix.includes(':'))),
    ipv6: part(prefixes.filter((prefix) => prefix.includes(':'))),
  }
}

/** `count` disjoint networks, ascending: `1.0.0.0/24`, `1.0.2.0/24`, … */
export function networks(count: number, firstOctet = 1): string[] {
  return Array.from({ length: count }, (_, index) => {
    const value = index * 2
    return `${firstOctet + (value >> 16)}.${(value >> 8) & 255}.${value & 255}.0/24`
  })
}
