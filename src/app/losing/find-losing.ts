/** `spamdctl losing`: reads the tries of the last days and groups them. */
import type { Store } from '../../db/store.js'
import { allowStateOf } from '../../domain/allow.js'
import { Draft, emptySelection } from '../../domain/draft.js'
import type { HistoryMode } from '../../domain/history.js'
import { HybridClock } from '../../domain/stamp.js'
import { groupLosing, type LosingSender } from './losing-senders.js'

/** Maximum mails examined: a flood of forged ones must not take all memory. */
const MAX_MAILS = 20_000

/** Default period. */
export const LOSING_SINCE_SEC = 3 * 86_400
/** Default number of addresses from which a mail is reported. */
export const LOSING_ADDRESSES = 3

export interface LosingQuery {
  nowSec: number
  sinceSec: number
  minAddresses: number
}

export interface LosingReport {
  senders: LosingSender[]
  /** More mail came from several addresses than could be examined. */
  isCut: boolean
  /** Unless it is `full` only tuples are known, which live for hours. */
  history: HistoryMode
}

/** Everything that is losing mail, the sender with the most tries first. */
export async function findLosing(
  store: Pick<Store, 'readDeferred' | 'readReleases' | 'readAllowed' | 'load' | 'historySettings'>,
  { nowSec, sinceSec, minAddresses }: LosingQuery,
): Promise<LosingReport> {
  const { mails, isCut } = await store.readDeferred({ sinceSec, minAddresses, limit: MAX_MAILS })
  const draft = new Draft(new HybridClock(0, { time: 0, counter: 0 }), nowSec)
  const hosts = new Set(mails.flatMap(({ clients }) => clients.map(({ ip }) => ip)))
  await store.load({ ...emptySelection(), hosts }, draft)
  const { mode } = await store.historySettings()
  const knownOf = (ip: string) => draft.host(ip).entry
  const exceptions = (await store.readAllowed()).filter(
    (source) => allowStateOf(source, nowSec) === 'in force',
  )
  const terms = { releases: await store.readReleases(), exceptions, minAddresses, nowSec }
  return { senders: groupLosing(mails, knownOf, terms), isCut, history: mode }
}
