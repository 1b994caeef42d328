/** What a planner of one system takes and gives. */
import type { PlannedFile } from '../init/planned-file.js'
import type { FailoverDescription, FailoverNode } from './failover-description.js'

/** Configuration of one node: files, and what is done by hand behind them. */
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
  /** The present text of a file on the node; undefined when there is none. */
  present: (path: string) => string | undefined
}
