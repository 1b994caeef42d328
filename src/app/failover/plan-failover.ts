/** From a description to the files of each node. */
import { freebsdPlan } from './failover-freebsd.js'
import { linuxPlan } from './failover-linux.js'
import { openbsdPlan } from './failover-openbsd.js'
import { pfsensePlan } from './failover-pfsense.js'
import type { NodePlan, PlanInput } from './node-plan.js'

const PLANNERS = { openbsd: openbsdPlan, freebsd: freebsdPlan, pfsense: pfsensePlan, linux: linuxPlan }

/** The configuration of `node`. The description must be free of faults (`findFailoverFaults`). */
export function planFailoverNode(input: PlanInput): NodePlan {
  return PLANNERS[input.plan.system](input)
}
