/** Senders that are losing mail, each with what DNS says about it and the command that lets its mail pass. */
import type { LosingReport } from './find-losing.js'
import { type IdentifyParts, identifySenders, type SenderIdentity } from './identify-senders.js'
import { type CommandPlaces, commandFor } from './losing-command.js'
import type { LosingSender } from './losing-senders.js'

export interface LosingRow extends LosingSender {
  /** Undefined when DNS was not queried. */
  identity: SenderIdentity | undefined
  /** Undefined if no command can name it, or if something already lets it pass. */
  command: string | undefined
}

export interface AdvisedLosing extends Omit<LosingReport, 'senders'> {
  senders: LosingRow[]
  /** False if DNS was not to be queried. */
  isIdentified: boolean
}

export interface AdviseOptions {
  /** Undefined: DNS is not queried. */
  identify: IdentifyParts | undefined
  minAddresses: number
  places?: CommandPlaces
}

/** Queries DNS, if enabled, about senders whose mail does not pass yet, and chooses a command for each. */
export async function adviseSenders(
  report: LosingReport,
  { identify, minAddresses, places }: AdviseOptions,
): Promise<AdvisedLosing> {
  const waiting = report.senders.filter(
    ({ releasedBy, allowedBy }) => releasedBy === undefined && allowedBy === undefined,
  )
  const found = identify === undefined ? [] : await identifySenders(waiting, identify)
  const identities = new Map(waiting.map((sender, index) => [sender, found[index]]))
  const senders = report.senders.map((sender) => {
    const identity = identities.get(sender)
    const command = identities.has(sender)
      ? commandFor(sender, identity?.spf, minAddresses, places)
      : undefined
    return { ...sender, identity, command }
  })
  return { ...report, senders, isIdentified: identify !== undefined }
}
