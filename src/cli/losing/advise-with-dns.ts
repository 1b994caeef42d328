/** What `losing` and `report` need besides the database: DNS. */
import { type AdvisedLosing, adviseSenders } from '../../app/losing/advise-senders.js'
import type { LosingReport } from '../../app/losing/find-losing.js'
import { IDENTIFY_MS } from '../../app/losing/identify-senders.js'
import { systemClock } from '../../platform/clock.js'
import { DnsClient } from '../../platform/dns-client.js'
import type { OptionValues } from '../option-reader.js'

/**
 * Commands for the senders found; DNS is queried unless `--no-dns` is given, or the short output does not
 * need it.
 */
export async function adviseWithDns(
  found: LosingReport,
  options: OptionValues,
  { minAddresses, isBrief = false }: { minAddresses: number; isBrief?: boolean },
): Promise<AdvisedLosing> {
  const places = { db: options.last('db'), dns: options.all('dns') }
  if (isBrief || options.has('no-dns')) {
    return await adviseSenders(found, { identify: undefined, minAddresses, places })
  }
  const dns = new DnsClient({ clock: systemClock, servers: options.all('dns') })
  try {
    const identify = { dns, clock: systemClock, timeoutMs: IDENTIFY_MS }
    return await adviseSenders(found, { identify, minAddresses, places })
  } finally {
    dns.close()
  }
}
