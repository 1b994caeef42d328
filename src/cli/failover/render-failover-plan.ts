import type { FailoverPlan, PlannedNode } from '../../app/failover/failover-use-case.js'
import { printableLines } from '../../codec/escape.js'

/** Appears in a printed plan instead of the passphrase in the file. */
const PASSPHRASE_MARK = '<passphrase>'

/** The plan as text: for each node its files as diffs, then the steps to do by hand. */
export function renderFailoverPlan(
  plan: Extract<FailoverPlan, { ok: true }>,
  passphrase: 'shown' | 'hidden',
): string {
  const text = plan.nodes.map(renderNode).join('\n')
  return passphrase === 'shown' || plan.passphrase === undefined
    ? text
    : text.replaceAll(plan.passphrase, PASSPHRASE_MARK)
}

function renderNode({ name, isHere, steps, commands }: PlannedNode): string {
  const lines = [
    `== ${name}${isHere ? '' : ' (another machine: files are shown as if they did not exist)'}`,
    '',
  ]
  for (const step of steps) {
    lines.push(`-- ${step.file.path}: ${step.file.purpose}`)
    if (step.action === 'keep') lines.push('up to date')
    else if (step.action === 'write-beside') lines.push('differs: compare, and change it by hand')
    if (step.action !== 'keep') lines.push(...printableLines(step.diff))
    lines.push('')
  }
  lines.push('-- then, on this node', ...commands, '')
  return lines.join('\n')
}

/** The same as one JSON object; the passphrase is hidden unless requested. */
export function failoverPlanJson(plan: FailoverPlan, passphrase: 'shown' | 'hidden'): string {
  if (!plan.ok) return JSON.stringify({ ok: false, faults: plan.faults }, null, 2)
  const nodes = plan.nodes.map(({ name, isHere, steps, commands }) => ({
    name,
    isHere,
    files: steps.map((step) => ({
      path: step.file.path,
      purpose: step.file.purpose,
      action: step.action,
      mode: step.file.mode.toString(8).padStart(4, '0'),
      ...(step.action === 'keep' ? {} : { text: step.text }),
    })),
    commands,
  }))
  const text = JSON.stringify({ ok: true, nodes }, null, 2)
  return passphrase === 'shown' || plan.passphrase === undefined
    ? text
    : text.replaceAll(plan.passphrase, PASSPHRASE_MARK)
}
