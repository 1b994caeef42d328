import { type FirewallTool, runFirewallTool } from './firewall-tool.js'
import type { ForeignChanges } from './foreign-changes.js'
import { NFT_TABLE, saysMissing } from './nft-script.js'

/** Our empty set in the table: if it is missing, so is everything else in the table. */
const WATCH_SET = `${NFT_TABLE} spamd-watch`
const INTERVAL_MS = 2000
/** The same if the kernel reports, within microseconds, whether anything has changed. */
const QUICK_INTERVAL_MS = 1000

const words = (text: string): string[] => text.split(' ')
const LOOK = words(`list set ${WATCH_SET}`)
const MAKE = words(`add table ${NFT_TABLE} ; add set ${WATCH_SET} { type ipv4_addr ; }`)

/**
 * Calls `onLost` within two seconds after the table was removed, even if rules with a table of that name were
 * loaded at once, until the returned function is called. It looks for a set of its own whenever the generation of the
 * ruleset has changed, because listing that takes four milliseconds regardless of the content of the table; nft(8) is not
 * run while nothing changes. `nft monitor`, which would report at once,
 * reads all sets when it starts and keeps each element of each later transaction: 7 MB for every replacement
 * of 20,000 addresses (nft 1.0.6).
 */
export function watchNftTable(tool: FirewallTool, onLost: () => void, foreign: ForeignChanges): () => void {
  let isStopped = false
  let isMade = false
  let timer: NodeJS.Timeout | undefined
  /** That of the last look that found the set. */
  let seenGeneration: number | undefined
  let waitMs = INTERVAL_MS
  const look = async (): Promise<void> => {
    // Read before the check, so that changes during it are checked again.
    const generation = foreign.readGeneration()
    waitMs = generation === undefined ? INTERVAL_MS : QUICK_INTERVAL_MS
    if (generation !== undefined && generation === seenGeneration) return
    seenGeneration = undefined
    const { exitCode, stderrTail } = await runFirewallTool(tool, LOOK)
    if (exitCode === 0) {
      isMade = true
      seenGeneration = generation
      return
    }
    if (!saysMissing(stderrTail)) return
    const wasMade = isMade
    const made = await foreign.duringOwn(() => runFirewallTool(tool, MAKE))
    isMade = made.exitCode === 0
    // Reported once the set is back: a later removal is another loss.
    if (wasMade && !isStopped) onLost()
  }
  const run = (): void => {
    // If it cannot be run, nothing is reported here; the writer of the table reports the error.
    void look()
      .catch(() => undefined)
      .then(() => {
        if (!isStopped) timer = setTimeout(run, waitMs).unref()
      })
  }
  run()
  return () => {
    isStopped = true
    clearTimeout(timer)
  }
}
