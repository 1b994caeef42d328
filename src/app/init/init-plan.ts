/** From the answers of `spamdctl init` to a plan for the system. */
import type { System } from './detect-system.js'
import type { InitInput, InitPlan } from './init-types.js'
import { debianPlan } from './plan-debian.js'
import { freebsdPlan } from './plan-freebsd.js'
import { openbsdPlan } from './plan-openbsd.js'
import { pfsensePlan } from './plan-pfsense.js'

const PLANNERS: Readonly<Record<System, (input: InitInput) => InitPlan>> = {
  debian: debianPlan,
  openbsd: openbsdPlan,
  freebsd: freebsdPlan,
  pfsense: pfsensePlan,
}

/** The plan for a system. */
export function planInit(system: System, input: InitInput): InitPlan {
  return PLANNERS[system](input)
}
