/** Input and output of a planner for one system. */
import { shellWords } from '../../codec/shell-words.js'
import type { PlannedFile } from '../init/planned-file.js'
import type { PullSetup } from '../init/pull-setup.js'
import type { FailoverDescription, FailoverNode } from './failover-description.js'

/** Configuration of one node: files, and manual steps after them. */
export interface NodePlan {
  files: PlannedFile[]
  /** One line each, in the order in which they are done. */
  steps: string[]
}

/** What a planner of one system is given. */
export interface PlanInput {
  plan: FailoverDescription
  node: FailoverNode
  peer: FailoverNode
  passphrase: string
  /** What lets both pull from each other, as set up by "spamdctl init --peer". */
  pulls: PullSetup
  /** The current text of a file on the node; undefined when there is none. */
  present: (path: string) => string | undefined
}

/** Steps that synchronise both before one of them has a shared address: the daemons first, then the pulls. */
export function pullSteps({ node, peer, pulls }: PlanInput): string[] {
  const [own, other] = [node, peer].map(({ syncAddress }) => syncAddress.split('/')[0])
  return [
    `spamdctl init --peer ${other}    # unless that is done: spamd gets -y ${own} -Y ${other}`,
    ...pulls.commands.map(({ argv, unless }) =>
      unless === undefined
        ? shellWords(argv)
        : `${shellWords(unless)} >/dev/null 2>&1 || ${shellWords(argv)}`,
    ),
    ...pulls.byHand,
  ]
}
