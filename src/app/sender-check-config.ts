import type { DnsList } from '../codec/dns/dns-list.js'

/** What spamd asks DNS about senders: plain data. */
export interface SenderCheckConfig {
  /** --grey-spf; undefined: off. `domainsFile` undefined: of all domains. */
  spf: { domainsFile: string | undefined } | undefined
  /** --spf-fail trap */
  trapsSpfFail: boolean
  /** --dnswl and --dnsbl, in order. */
  dnswl: DnsList[]
  dnsbl: DnsList[]
  /** --dns-server; none: those of the system. */
  dnsServers: string[]
}

/** No queries are made. */
export function noSenderChecks(): SenderCheckConfig {
  return { spf: undefined, trapsSpfFail: false, dnswl: [], dnsbl: [], dnsServers: [] }
}

/** True when DNS is to be asked anything. */
export function hasSenderChecks({ spf, dnswl, dnsbl }: SenderCheckConfig): boolean {
  return spf !== undefined || dnswl.length + dnsbl.length > 0
}
