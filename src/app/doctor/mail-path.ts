/** What pf and nftables checks share: how many addresses a table should hold, and where spamd must listen. */
import { countText } from '../../codec/count-text.js'
import type { IpFamily } from '../../ip/address.js'
import type { DoctorContext } from './context.js'
import type { Findings } from './finding.js'

/** Promotions are written within a second, and a scan runs every minute: a larger difference is an error. */
const TOLERATED_SHARE = 0.02
const TOLERATED_COUNT = 10

/**
 * Compares the table of WHITE hosts with what spamd wrote last, or else with the database's number of WHITE
 * entries: check `ID.filled`.
 */
export function checkFilled(
  context: DoctorContext,
  findings: Findings,
  options: { id: string; table: string; held: number; white: number | undefined; log: string },
): void {
  const { id, table, held, white, log } = options
  const status = context.daemon.kind === 'status' ? context.daemon.status : undefined
  const wanted = status?.table?.addressCount ?? white
  if (wanted === undefined) {
    findings.info(
      `${id}.filled`,
      `${table} holds ${countText(held, 'address', 'addresses')}; the expected number is unknown`,
    )
    return
  }
  const distance = Math.abs(held - wanted)
  if (distance <= Math.max(TOLERATED_COUNT, wanted * TOLERATED_SHARE) && !(held === 0 && wanted > 0)) {
    findings.ok(
      `${id}.filled`,
      `${table} holds ${countText(held, 'address', 'addresses')}, the database ${white ?? wanted} WHITE`,
    )
  } else {
    findings.error(
      `${id}.filled`,
      `${table} holds ${countText(held, 'address', 'addresses')}, but ${countText(wanted, 'host is', 'hosts are')} WHITE; spamd updates it every minute${held < wanted ? '; until then the missing hosts are greylisted' : ''}`,
      log,
    )
  }
  if (status?.table !== undefined && status.table.failures > 0) {
    findings.warning(
      `${id}.writes`,
      `spamd could not write ${table} ${countText(status.table.failures, 'time')} since it started`,
      log,
    )
  }
}

/** True when spamd listens where connections to this address and port arrive; undefined when unknown. */
export function listensAt(
  context: DoctorContext,
  address: string | undefined,
  port: number,
): boolean | undefined {
  if (context.daemon.kind !== 'status') return undefined
  const isIpv6 = address?.includes(':') === true
  return context.daemon.status.listen.some((place) => {
    if (place.port !== port) return false
    if (place.address === '::') return isIpv6
    if (place.address === '0.0.0.0') return !isIpv6
    return address === undefined ? true : place.address === address
  })
}

/** Where spamd listens, for a message. */
export function listenText(context: DoctorContext): string {
  if (context.daemon.kind !== 'status') return 'unknown'
  return context.daemon.status.listen.map(({ address, port }) => `${address} port ${port}`).join(', ')
}

/** True when spamd opens networks of this family, so that the rules must let them pass. */
export function opensPools({ daemon }: DoctorContext, family: IpFamily): boolean {
  if (daemon.kind !== 'status' || daemon.status.mode === 'block-lists') return false
  const { greyPrefix4, greyPrefix6, isLearning, senders } = daemon.status
  if (isLearning === true || senders?.spf !== undefined) return true
  return (family === 4 ? greyPrefix4 : greyPrefix6) !== undefined
}
