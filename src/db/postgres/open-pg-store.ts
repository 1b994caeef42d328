import { openError } from '../db-error.js'
import type { OpenStoreOptions } from '../store-options.js'
import { RUN_INIT, readVersion, refuseNewer, refuseOlder, settleNode } from './init-server.js'
import { PgLink } from './pg-link.js'
import { PgStore } from './pg-store.js'

const DEFAULT_SLOW_CALL_MS = 500
/** Long enough for a page of a listing from a busy server, short enough to find a connection that is half open. */
const QUERY_TIMEOUT_MS = 60_000

/** Opens the database on a server; see `openStore`. */
export async function openPgStore(location: string, options: OpenStoreOptions): Promise<PgStore> {
  const link = new PgLink(location, {
    mode: options.mode,
    queryTimeoutMs: options.queryTimeoutMs ?? QUERY_TIMEOUT_MS,
    onNotice: options.onNotice,
    onAlarm: options.onAlarm,
    slowCallMs: options.slowCallMs ?? DEFAULT_SLOW_CALL_MS,
    onSlowCall: options.onSlowCall,
  })
  try {
    const node = await link.read('open', async (statements) => {
      const found = await readVersion(statements)
      if (found === undefined) throw openError('the server has no spamd tables', { hint: RUN_INIT })
      refuseOlder(found.version)
      refuseNewer(found.version)
      return options.mode === 'write' ? settleNode(statements, found) : found.node
    })
    return new PgStore(link, node)
  } catch (error) {
    await link.close()
    throw error
  }
}
