/** `spamdctl losing`: reads the tries of the last days and puts them together. */
import type { Store } from '../../db/store.js'
import { Draft, emptySelection } from '../../domain/draft.js'
import type { HistoryMode } from '../../domain/history.js'
import { HybridClock } from '../../domain/stamp.js'
import { commandFor } from './losing-command.js'
import { groupLosing, type LosingSender } from './losing-senders.js'

/** Mails that are looked at: a flood of forged ones must not take all memory. */
const MAX_MAILS = 20_000

export interface LosingQuery {
  nowSec: number
  sinceSec: number
  minAddresses: number
}

/** A sender with the command that lets it pass; undefined where none can name it, or a release does already. */
export interface LosingRow extends LosingSender {
  command: string | undefined
}

export interface LosingReport {
  senders: LosingRow[]
  /** More mail than could be looked at came from several addresses. */
  isCut: boolean
  /** Unless it is `full` only tuples are known, which live for hours. */
  history: HistoryMode
}

/** Everything that is losing mail, the sender with the most tries first. */
export async function findLosing(
  store: Pick<Store, 'readDeferred' | 'readReleases' | 'load' | 'historySettings'>,
  { nowSec, sinceSec, minAddresses }: LosingQuery,
): Promise<LosingReport> {
  const { mails, isCut } = await store.readDeferred({ sinceSec, minAddresses, limit: MAX_MAILS })
  const draft = new Draft(new HybridClock(0, { time: 0, counter: 0 }), nowSec)
  const hosts = new Set(mails.flatMap(({ clients }) => clients.map(({ ip }) => ip)))
  await store.load({ ...emptySelection(), hosts }, draft)
  const { mode } = await store.historySettings()
  const senders = groupLosing(mails, (ip) => draft.host(ip).entry, await store.readReleases(), nowSec)
  const rows = senders.map((sender) => ({
    ...sender,
    command: sender.releasedBy === undefined ? commandFor(sender) : undefined,
  }))
  return { senders: rows, isCut, history: mode }
}
