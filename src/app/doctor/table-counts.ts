/** The current number of entries in the packet filter, read through the probe. */
import { parseNftRuleset } from '../../codec/system/nft-ruleset.js'
import { parsePfTables } from '../../codec/system/pf-state.js'
import type { Settings } from '../../platform/settings.js'
import type { SystemProbe } from '../../platform/system-probe.js'
import { isDenied, outputOf, whyNothing } from './context.js'

const NFT_TABLE = ['inet', 'spamd']

/** Entries of each of our tables that exists (both families together), or why they cannot be read. */
export type TableCounts = { kind: 'counts'; counts: Map<string, number> } | { kind: 'unseen'; reason: string }

/** Tables that the suite fills, and the administrator's own exceptions. */
export const OUR_TABLES = ['spamd-white', 'spamd', 'nospamd'] as const

/** Counts the entries of tables. Never throws. */
export async function countTables(
  probe: SystemProbe,
  settings: Settings,
  names: readonly string[],
): Promise<TableCounts> {
  switch (settings.firewall) {
    case 'pf': {
      const listed = await probe.run(settings.pfctl, ['-vvs', 'Tables'])
      const text = outputOf(listed)
      if (text === undefined) return unseen('pfctl', listed)
      const all = parsePfTables(text)
      return {
        kind: 'counts',
        counts: new Map(names.flatMap((name) => (all.has(name) ? [[name, all.get(name)!]] : []))),
      }
    }
    case 'nft': {
      const counts = new Map<string, number>()
      for (const name of names) {
        for (const set of [name, `${name}6`]) {
          const listed = await probe.run(settings.nft, ['-j', 'list', 'set', ...NFT_TABLE, set])
          if (isDenied(listed) || listed.kind !== 'ended') return unseen('nft', listed)
          const found = parseNftRuleset(listed.stdout)?.sets[0]
          if (found !== undefined) counts.set(name, (counts.get(name) ?? 0) + found.elementCount)
        }
      }
      return { kind: 'counts', counts }
    }
    default:
      return { kind: 'unseen', reason: `SPAMD_FIREWALL is ${settings.firewall}` }
  }
}

function unseen(program: string, output: Parameters<typeof whyNothing>[1]): TableCounts {
  return { kind: 'unseen', reason: isDenied(output) ? `${program} needs root` : whyNothing(program, output) }
}
