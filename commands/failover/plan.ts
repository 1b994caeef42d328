import { planFailover } from '../../src/app/failover/failover-use-case.js'
import { BaseCommand, flagsForHelp } from '../../src/cli/base-command.js'
import { FAILOVER_PLAN_OPTIONS } from '../../src/cli/failover/failover-options.js'
import { failoverPlanJson, renderFailoverPlan } from '../../src/cli/failover/render-failover-plan.js'
import { EXIT } from '../../src/cli/report-error.js'
import { usageLine } from '../../src/cli/usage-line.js'

/** `spamdctl failover plan`: the configuration of two gateways that share an address. Manual: docs/man/spamdctl.8. */
export default class FailoverPlan extends BaseCommand {
  static override summary = 'print the fail-over configuration of two gateways as a diff'
  static override description =
    'Reads a description of two gateways and their shared addresses (TOML) and prints the files of each node for CARP and pfsync, or keepalived or ucarp and conntrackd, compared with the installed files. Writes nothing. A plan that cannot work is refused.'
  static override usage = usageLine('failover plan', FAILOVER_PLAN_OPTIONS, 'FILE')
  static override examples = [
    {
      description: 'plan both nodes',
      command: 'spamdctl failover plan /etc/spamd/failover.toml',
    },
    {
      description: 'show the passphrase, for copying to the other node',
      command: 'spamdctl failover plan --node mx2 --show-passphrase failover.toml',
    },
  ]
  static override flags = flagsForHelp(FAILOVER_PLAN_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(FAILOVER_PLAN_OPTIONS, `spamdctl ${FailoverPlan.usage}`, { min: 1, max: 1 })
    if (words === undefined) return
    const { options, operands } = words
    const plan = planFailover(operands[0]!, {
      root: options.last('root') ?? '/',
      nodeName: options.last('node'),
    })
    const passphrase = options.has('show-passphrase') ? 'shown' : 'hidden'
    if (options.has('json')) process.stdout.write(`${failoverPlanJson(plan, passphrase)}\n`)
    else if (plan.ok) process.stdout.write(renderFailoverPlan(plan, passphrase))
    else for (const fault of plan.faults) process.stderr.write(`spamdctl: ${operands[0]}: ${fault}\n`)
    if (!plan.ok) process.exitCode = EXIT.failure
  }
}
