/**
 * Exceptions that are kept up to date: domains whose servers never wait, by the networks in their SPF
 * records, and single networks. Times are seconds since the Epoch.
 */
import { isInNetwork, parseCidr } from '../ip/cidr.js'
import { EXPIRE_NEVER } from './times.js'

export interface AllowSource {
  /** A domain in lower case, or CIDR text. */
  name: string
  first: number
  /** Removal time; 0 (EXPIRE_NEVER) for none. */
  expire: number
  /** When its networks were last found; 0: not yet. */
  checked: number
  comment?: string | undefined
  /** The networks last found: canonical CIDR text, ascending, IPv4 first. */
  networks: readonly string[]
}

/** A source is stored as a whole, with its networks, or removed. */
export type AllowEdit = { operation: 'put'; source: AllowSource } | { operation: 'remove'; name: string }

/** Maximum number of sources: exceptions are not meant for a list of all senders. */
export const MAX_ALLOW_SOURCES = 500
/** Maximum number of networks per source; the largest sender needs a few hundred. */
export const MAX_ALLOW_NETWORKS = 20_000
/** Networks of a domain that could not be looked up for this long are dropped. */
export const KEEP_NETWORKS_SEC = 30 * 86_400

/** The current state of a source. */
export type AllowState =
  /** Its networks pass. */
  | 'in force'
  /** It has no networks: none was found, or none could be kept. */
  | 'empty'
  /** Not found for too long: its networks no longer pass. */
  | 'dropped'
  /** Its own time is over. */
  | 'ended'

/** Returns the state of a source at a time. */
export function allowStateOf({ name, expire, checked, networks }: AllowSource, now: number): AllowState {
  if (expire !== EXPIRE_NEVER && expire <= now) return 'ended'
  if (networks.length === 0) return 'empty'
  return !isAllowedNetwork(name) && checked + KEEP_NETWORKS_SEC <= now ? 'dropped' : 'in force'
}

/** Maximum number of networks that the history names per change. */
const MAX_NAMED = 10

/** What happened to a source: `changed`: its end or comment; `ended`: removed because it expired, not by anyone's decision. */
export const ALLOW_DECISIONS = ['added', 'removed', 'changed', 'ended'] as const

export interface AllowDecision {
  what: (typeof ALLOW_DECISIONS)[number]
  name: string
}

/** True for a manual decision, which `undo` must not skip. */
export function isDecided(decision: AllowDecision | undefined): boolean {
  return decision !== undefined && decision.what !== 'ended'
}

/** An edit as the history keeps it. */
export interface ToldAllowEdit {
  text: string
  /** Undefined if only the networks of a domain were looked up again. */
  decision: AllowDecision | undefined
}

/** Text and decision of an edit; undefined when nothing changed. */
function tellAllowEdit(
  before: AllowSource | undefined,
  edit: AllowEdit,
  now: number,
): ToldAllowEdit | undefined {
  if (edit.operation === 'remove') {
    if (before === undefined) return undefined
    const what = allowStateOf(before, now) === 'ended' ? 'ended' : 'removed'
    return toldDecision(what, edit.name, `removed, ${countText(before.networks.length)}`)
  }
  const { name, networks, expire, comment } = edit.source
  const terms = [
    ...(expire === EXPIRE_NEVER ? [] : [`until ${new Date(expire * 1000).toISOString().slice(0, 16)}Z`]),
    ...(comment === undefined ? [] : [`(${comment})`]),
  ]
  if (before === undefined) {
    return toldDecision('added', name, [`added, ${countText(networks.length)}`, ...terms].join(' '))
  }
  const [was, is] = [new Set(before.networks), new Set(networks)]
  const parts = [
    ...before.networks.filter((network) => !is.has(network)).map((network) => `-${network}`),
    ...networks.filter((network) => !was.has(network)).map((network) => `+${network}`),
  ]
  const named = parts.slice(0, MAX_NAMED)
  if (parts.length > named.length) named.push(`and ${countText(parts.length - named.length)} more`)
  if (before.expire !== expire || before.comment !== comment) {
    named.push('now', ...(terms.length === 0 ? ['permanent'] : terms))
    return toldDecision('changed', name, named.join(' '))
  }
  return named.length === 0 ? undefined : { text: `${name}: ${named.join(' ')}`, decision: undefined }
}

function toldDecision(what: AllowDecision['what'], name: string, words: string): ToldAllowEdit {
  return { text: `${name}: ${words}`, decision: { what, name } }
}

/** The same for several edits in order; `known` is what is on record, by name, and is updated. */
export function tellAllowEdits(
  known: Map<string, AllowSource>,
  edits: readonly AllowEdit[],
  now: number,
): ToldAllowEdit[] {
  return edits.flatMap((edit) => {
    const name = edit.operation === 'put' ? edit.source.name : edit.name
    const told = tellAllowEdit(known.get(name), edit, now)
    if (edit.operation === 'put') known.set(name, edit.source)
    else known.delete(name)
    return told ?? []
  })
}

/** The command that reverses an edit. */
export function reverseAllowEdit(decision: AllowDecision | undefined): string {
  switch (decision?.what) {
    case 'added':
      return `spamdctl allow remove ${decision.name}`
    case 'removed':
    case 'ended':
      return `spamdctl allow add ${decision.name}`
    case 'changed':
      return `spamdctl allow add ${decision.name} with its earlier terms`
    case undefined:
      return 'spamdctl allow sync'
  }
}

function countText(count: number): string {
  return `${count} ${count === 1 ? 'network' : 'networks'}`
}

/** True when a canonical address is in one of the networks of a source. */
export function coversAddress({ networks }: Pick<AllowSource, 'networks'>, ip: string): boolean {
  return networks.some((text) => {
    const network = parseCidr(text)
    return network !== undefined && isInNetwork(ip, network)
  })
}

/** True for a source that is itself a network and needs no DNS. */
export function isAllowedNetwork(name: string): boolean {
  return name.includes('/')
}
