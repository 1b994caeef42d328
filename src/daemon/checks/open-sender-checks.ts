import { hasSenderChecks } from '../../app/sender-check-config.js'
import type { SpamdConfig } from '../../app/spamd-config.js'
import { SpfDomains } from '../../app/spf-domains.js'
import { DnsClient } from '../../platform/dns-client.js'
import type { SpamdResources } from '../process/spamd-resources.js'
import { DnsLists } from './dns-lists.js'
import { readSpfDomains } from './read-spf-domains.js'
import { SenderChecks, type SenderChecksOptions } from './sender-checks.js'
import { SpfChecker } from './spf-checker.js'

/** What a running daemon needs to query DNS about senders. */
export interface OpenedSenderChecks {
  checks: SenderChecks
  dns: DnsClient
  /**
   * Reads the domains of --grey-spf FILE again at each call; if the file cannot be used nothing changes, and
   * it rejects.
   */
  loadDomains(resources: Pick<SpamdResources, 'readSpfDomains'>): Promise<void>
}

/**
 * Assembles the checks; undefined when no option needs any. Before `loadDomains` a file contains no domain.
 */
export function openSenderChecks(
  { senders }: Pick<SpamdConfig, 'senders'>,
  options: Omit<SenderChecksOptions, 'dns' | 'spf' | 'trapsSpfFail' | 'goodLists' | 'waitLists'>,
): OpenedSenderChecks | undefined {
  if (!hasSenderChecks(senders)) return undefined
  const { clock, logger } = options
  const dns = new DnsClient({ clock, servers: senders.dnsServers })
  const isOfFile = senders.spf?.domainsFile !== undefined
  const domains = isOfFile ? new SpfDomains(new Uint8Array(), '') : undefined
  const spf = senders.spf && new SpfChecker({ dns, clock, domains })
  const checks = new SenderChecks({
    ...options,
    dns,
    spf,
    trapsSpfFail: senders.trapsSpfFail,
    goodLists: new DnsLists(senders.dnswl, { dns, clock, logger }),
    waitLists: new DnsLists(senders.dnsbl, { dns, clock, logger }),
  })
  return {
    checks,
    dns,
    loadDomains: async (resources) => spf?.replaceDomains(await readSpfDomains(senders, resources)),
  }
}
