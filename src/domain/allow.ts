/**
 * Exceptions that keep themselves up to date: domains whose servers never wait, by what their SPF records name, and
 * networks. Times are seconds since the Epoch.
 */
import { isInNetwork, parseCidr } from '../ip/cidr.js'
import { EXPIRE_NEVER } from './times.js'

export interface AllowSource {
  /** A domain in lower case, or CIDR text. */
  name: string
  first: number
  /** Removal time; 0 (EXPIRE_NEVER) for good. */
  expire: number
  /** When its networks were last found; 0: not yet. */
  checked: number
  comment?: string | undefined
  /** Canonical CIDR text, ascending, IPv4 first: what was last found. */
  networks: readonly string[]
}

/** A source is stored whole, with its networks, or removed. */
export type AllowEdit = { operation: 'put'; source: AllowSource } | { operation: 'remove'; name: string }

/** Sources at most: a list of all senders of the world is another thing. */
export const MAX_ALLOW_SOURCES = 500
/** Networks of one source at most; the largest sender needs some hundreds. */
export const MAX_ALLOW_NETWORKS = 20_000
/** Networks of a domain that could not be asked for so long are dropped. */
export const KEEP_NETWORKS_SEC = 30 * 86_400

/** What a source stands for now. */
export type AllowState =
  /** Its networks are let through. */
  | 'in force'
  /** It has none: never found, or none that could be kept. */
  | 'empty'
  /** Not found for too long: its networks are let through no more. */
  | 'dropped'
  /** Its own time is over. */
  | 'ended'

/** Tells what a source is at a time. */
export function allowStateOf({ name, expire, checked, networks }: AllowSource, now: number): AllowState {
  if (expire !== EXPIRE_NEVER && expire <= now) return 'ended'
  if (networks.length === 0) return 'empty'
  return !isAllowedNetwork(name) && checked + KEEP_NETWORKS_SEC <= now ? 'dropped' : 'in force'
}

/** Networks that the history names of one change. */
const MAX_NAMED = 10

/** What the history says of an edit, for people; undefined when it only found again what was there. */
function describeAllowEdit(before: AllowSource | undefined, edit: AllowEdit): string | undefined {
  if (edit.operation === 'remove') {
    return before === undefined ? undefined : `${edit.name}: removed, ${countText(before.networks.length)}`
  }
  const { name, networks, expire, comment } = edit.source
  const terms = [
    ...(expire === EXPIRE_NEVER ? [] : [`until ${new Date(expire * 1000).toISOString().slice(0, 16)}Z`]),
    ...(comment === undefined ? [] : [`(${comment})`]),
  ]
  if (before === undefined) return [`${name}: added, ${countText(networks.length)}`, ...terms].join(' ')
  const [was, is] = [new Set(before.networks), new Set(networks)]
  const parts = [
    ...before.networks.filter((network) => !is.has(network)).map((network) => `-${network}`),
    ...networks.filter((network) => !was.has(network)).map((network) => `+${network}`),
  ]
  const named = parts.slice(0, MAX_NAMED)
  if (parts.length > named.length) named.push(`and ${parts.length - named.length} networks more`)
  if (before.expire !== expire || before.comment !== comment)
    named.push('now', ...(terms.length === 0 ? ['for good'] : terms))
  return named.length === 0 ? undefined : `${name}: ${named.join(' ')}`
}

/** The same of several edits in order; `known` is what is on record, by name, and is brought along. */
export function tellAllowEdits(known: Map<string, AllowSource>, edits: readonly AllowEdit[]): string[] {
  return edits.flatMap((edit) => {
    const name = edit.operation === 'put' ? edit.source.name : edit.name
    const text = describeAllowEdit(known.get(name), edit)
    if (edit.operation === 'put') known.set(name, edit.source)
    else known.delete(name)
    return text ?? []
  })
}

function countText(count: number): string {
  return `${count} ${count === 1 ? 'network' : 'networks'}`
}

/** True when the networks of a source hold a canonical address. */
export function holdsAddress({ networks }: Pick<AllowSource, 'networks'>, ip: string): boolean {
  return networks.some((text) => {
    const network = parseCidr(text)
    return network !== undefined && isInNetwork(ip, network)
  })
}

/** True for a source that is a network by itself and needs no DNS. */
export function isAllowedNetwork(name: string): boolean {
  return name.includes('/')
}
