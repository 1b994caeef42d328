import { readNftGeneration } from '../platform/nft-generation.js'
import { type ProcessRunner, runProcess } from '../platform/run-process.js'
import type { SystemName } from '../platform/settings.js'
import type { Firewall, FirewallName } from './backend.js'
import type { FirewallTool } from './firewall-tool.js'
import { IpsetFirewall } from './ipset.js'
import { NftFirewall } from './nft.js'
import { NoFirewall } from './none.js'
import { PfFirewall } from './pf.js'

/** A table change that takes longer is considered hung. Source: replacing 190,000 pf entries takes 1.3 s. */
const PFCTL_TIMEOUT_MS = 60_000
/** nft needs 1.4 s for 100,000 networks, and disproportionately more for a million. */
const NFT_TIMEOUT_MS = 180_000
const SYSCTL_TIMEOUT_MS = 10_000

/** What `selectFirewall` depends on. */
export interface FirewallOptions {
  choice: FirewallName
  /** Paths of the programs. */
  pfctl: string
  nft: string
  ipset?: string
  system: SystemName
  /** Receives notices about what worked but should be fixed, one line without program name. */
  onNotice?: (message: string) => void
  runner?: ProcessRunner
}

/** The back end of the selected packet filter. Nothing is run before its first call. */
export function selectFirewall(options: FirewallOptions): Firewall {
  const runner = options.runner ?? runProcess
  const tool = (program: string, setting: string, timeoutMs: number): FirewallTool => ({
    program,
    setting,
    timeoutMs,
    runner,
  })
  switch (options.choice) {
    case 'pf':
      return new PfFirewall(tool(options.pfctl, 'SPAMD_PFCTL', PFCTL_TIMEOUT_MS), {
        ...(options.system === 'freebsd'
          ? { sysctl: tool('/sbin/sysctl', 'PATH', SYSCTL_TIMEOUT_MS) }
          : undefined),
        ...(options.onNotice === undefined ? undefined : { onNotice: options.onNotice }),
      })
    case 'nft':
      return new NftFirewall(tool(options.nft, 'SPAMD_NFT', NFT_TIMEOUT_MS), readNftGeneration)
    case 'ipset':
      return new IpsetFirewall(tool(options.ipset ?? '/usr/sbin/ipset', 'PATH', NFT_TIMEOUT_MS))
    case 'none':
      return new NoFirewall()
  }
}
