import type { Firewall } from '../../firewall/backend.js'
import { selectFirewall } from '../../firewall/select.js'
import { currentSystem, type Settings } from '../../platform/settings.js'

/** The packet filter whose table is filled; undefined when the settings name none. */
export function openAllowFirewall(
  { firewall, pfctl, nft }: Settings,
  onNotice: (message: string) => void,
): Firewall | undefined {
  if (firewall === 'none') return undefined
  return selectFirewall({ choice: firewall, pfctl, nft, system: currentSystem(), onNotice })
}
