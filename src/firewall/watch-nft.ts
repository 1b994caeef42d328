import { startProcess } from '../platform/run-process.js'
import type { FirewallTool } from './firewall-tool.js'
import { NFT_TABLE } from './nft-script.js'

/** A monitor that ended, for want of memory or by hand, is started again after this. */
const RESTART_MS = 10_000

/**
 * Calls `onLost` for every `delete table inet spamd` that `nft monitor destroy tables` prints, until the returned
 * function is called. While no monitor can be run nothing is told.
 */
export function watchNftTable(tool: FirewallTool, onLost: () => void): () => void {
  const stop = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const follow = async (): Promise<void> => {
    const running = await startProcess({
      program: tool.program,
      args: ['monitor', 'destroy', 'tables'],
      timeoutMs: Number.POSITIVE_INFINITY,
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
      signal: stop.signal,
    })
    let rest = ''
    for await (const chunk of running.stdout) {
      const lines = `${rest}${Buffer.from(chunk).toString('latin1')}`.split('\n')
      rest = (lines.pop() ?? '').slice(-1000)
      if (lines.includes(`delete table ${NFT_TABLE}`)) onLost()
    }
    await running.ended
  }
  const run = (): void => {
    void follow()
      .catch(() => undefined)
      .then(() => {
        if (!stop.signal.aborted) timer = setTimeout(run, RESTART_MS).unref()
      })
  }
  run()
  return () => {
    clearTimeout(timer)
    stop.abort()
  }
}
