import { type FirewallTool, runFirewallTool } from './firewall-tool.js'
import { NFT_TABLE } from './nft-script.js'

/** An empty set of ours in the table: when it is gone, so is everything else in the table. */
const WATCH_SET = `${NFT_TABLE} spamd-watch`
const INTERVAL_MS = 2000

const words = (text: string): string[] => text.split(' ')
const LOOK = words(`list set ${WATCH_SET}`)
const MAKE = words(`add table ${NFT_TABLE} ; add set ${WATCH_SET} { type ipv4_addr ; }`)

/**
 * Calls `onLost` within two seconds after the table was removed, even if rules with a table of that name were
 * loaded at once, until the returned function is called. It looks for a set of its own, because listing that
 * takes four milliseconds regardless of the content of the table. `nft monitor`, which would report at once,
 * reads all sets when it starts and keeps each element of each later transaction: 7 MB for every replacement
 * of 20,000 addresses (nft 1.0.6).
 */
export function watchNftTable(tool: FirewallTool, onLost: () => void): () => void {
  let isStopped = false
  let isMade = false
  let timer: NodeJS.Timeout | undefined
  const look = async (): Promise<void> => {
    const { exitCode, stderrTail } = await runFirewallTool(tool, LOOK)
    if (exitCode === 0) {
      isMade = true
      return
    }
    if (!stderrTail.includes('No such file or directory')) return
    const wasMade = isMade
    isMade = (await runFirewallTool(tool, MAKE)).exitCode === 0
    // Reported once the set is back: a later removal is another loss.
    if (wasMade && !isStopped) onLost()
  }
  const run = (): void => {
    // If it cannot be run, nothing is reported; whoever writes the table reports the error.
    void look()
      .catch(() => undefined)
      .then(() => {
        if (!isStopped) timer = setTimeout(run, INTERVAL_MS).unref()
      })
  }
  run()
  return () => {
    isStopped = true
    clearTimeout(timer)
  }
}
