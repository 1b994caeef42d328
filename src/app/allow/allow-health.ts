/** Problems with exceptions: outdated networks, and sources without effect. Pure. */
import { formatDuration } from '../../codec/duration.js'
import { type AllowSource, allowStateOf, isAllowedNetwork, KEEP_NETWORKS_SEC } from '../../domain/allow.js'
import { formatCidrs } from '../../ip/cidr-text.js'
import { setOfNetworks } from './network-set.js'

/** The timer runs twice a day: older networks mean that it has failed for days. */
const STALE_SEC = 3 * 86_400

export interface AllowHealth {
  sourceCount: number
  /** Domains among them: those that need the timer. */
  domainCount: number
  /** Networks that should be in the table, both families together. */
  networkCount: number
  /** The oldest time at which a domain was last found, seconds since the Epoch; undefined without domains. */
  oldestSec: number | undefined
  /** One line each; a name is the administrator's own, canonical. */
  troubles: string[]
}

/** Judges all sources at a time. */
export function judgeAllowed(sources: readonly AllowSource[], nowSec: number): AllowHealth {
  const kept = sources.filter((source) => allowStateOf(source, nowSec) !== 'ended')
  const domains = kept.filter(({ name }) => !isAllowedNetwork(name))
  const found = domains.filter(({ checked }) => checked > 0).map(({ checked }) => checked)
  const content = allowContent(sources, nowSec)
  return {
    sourceCount: kept.length,
    domainCount: domains.length,
    networkCount: content.ipv4.count + content.ipv6.count,
    oldestSec: found.length === 0 ? undefined : Math.min(...found),
    troubles: domains.flatMap((source) => troubleOf(source, nowSec) ?? []),
  }
}

function troubleOf(source: AllowSource, nowSec: number): string | undefined {
  const { name, checked } = source
  const age = formatDuration(Math.max(0, nowSec - checked))
  switch (allowStateOf(source, nowSec)) {
    case 'empty':
      return `exception ${name} lets nobody through: DNS has not named its networks yet`
    case 'dropped':
      return `exception ${name} lets nobody through: its networks, found ${age} ago, were dropped`
    case 'ended':
      return undefined
    case 'in force': {
      if (nowSec - checked <= STALE_SEC) return undefined
      const left = formatDuration(checked + KEEP_NETWORKS_SEC - nowSec)
      return `exception ${name}: its networks were last found ${age} ago, and are dropped in ${left}`
    }
  }
}

/**
 * Expected content of the packet filter's table at a time: the networks of all sources in force, collapsed.
 */
export function allowContent(
  sources: readonly AllowSource[],
  nowSec: number,
): ReturnType<typeof formatCidrs> {
  const inForce = sources.filter((source) => allowStateOf(source, nowSec) === 'in force')
  return formatCidrs(setOfNetworks(inForce.flatMap(({ networks }) => networks)))
}
