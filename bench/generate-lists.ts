/** Block lists as files, the same for the same seed: random lists, and lists in the form of public ones. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { makeScaledRandom } from '../test/support/random.js'

/** Makes a line; `random` returns a number below its argument. */
type LineMaker = (random: (limit: number) => number, index: number) => string

const quad = (value: number) =>
  `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`
const group = (random: (limit: number) => number) => random(65536).toString(16)

/** Addresses, networks (with host bits), ranges and comments all over the address space. */
export const mixedIpv4: LineMaker = (random, index) => {
  const kind = random(100)
  const first = random(4294900000)
  if (kind < 70) return quad(first)
  if (kind < 90) return `${quad(first)}/${20 + random(13)}`
  return kind < 95 ? `${quad(first)} - ${quad(first + random(5000))}` : `# comment ${index}`
}

/** Sorted single addresses in clusters, as in lists of attackers. */
export const sortedSingles: LineMaker = (random, index) => quad(16777216 + index * 600 + random(500))

/** Single addresses in a few thousand networks, unsorted, with trailing comments. */
export const crowdedSingles: LineMaker = (random) =>
  `${quad(Math.imul(random(5000), 840_000) + 16777216 + random(4096))} # seen ${random(90)} times`

/** Networks with a comment after a semicolon, as Spamhaus publishes them. */
export const commentedNetworks: LineMaker = (random, index) =>
  `${quad((16777216 + index * 256 + random(200)) & 0xffffff00)}/24 ; SBL${random(700000)}`

/** Addresses and networks of some thousand providers, half of them with all groups written. */
export const mixedIpv6: LineMaker = (random, index) => {
  const provider = random(5000)
  const start = `${(0x2000 + (provider % 3072)).toString(16)}:${((provider * 7919) % 65536).toString(16)}`
  const kind = random(100)
  if (kind < 35) {
    return `${start}:${group(random)}:${group(random)}:${group(random)}:${group(random)}:${group(random)}:${group(random)}`
  }
  if (kind < 70) return `${start}:${group(random)}:${group(random)}::${group(random)}`
  if (kind < 85) return `${start}:${group(random)}::/48`
  return kind < 95 ? `${start}:${group(random)}:${group(random)}::/64` : `# comment ${index}`
}

/** Writes `count` lines to a file. */
export function writeList(path: string, count: number, seed: number, makeLine: LineMaker): void {
  const random = makeScaledRandom(seed)
  const file = openSync(path, 'w')
  let text = ''
  for (let index = 0; index < count; index += 1) {
    text += `${makeLine(random, index)}\n`
    if (text.length > 1_000_000 || index === count - 1) {
      writeSync(file, text)
      text = ''
    }
  }
  closeSync(file)
}
