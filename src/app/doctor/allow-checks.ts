/** Exceptions of `spamdctl allow`: up to date, in the packet filter's table, and updated regularly. */
import { countText } from '../../codec/count-text.js'
import { formatDuration } from '../../codec/duration.js'
import type { AllowSource } from '../../domain/allow.js'
import { type AllowHealth, judgeAllowed } from '../allow/allow-health.js'
import { ALLOW_TABLE } from '../allow/sync-sources.js'
import type { DoctorContext } from './context.js'
import type { Findings } from './finding.js'
import { addToCrontab, findSchedule } from './schedule.js'
import { countTables } from './table-counts.js'

const SYNC = 'spamdctl allow sync'

/** Checks `allow`, `allow.filled`, `allow.schedule`; nothing is reported if there are no exceptions. */
export async function checkAllowed(
  context: DoctorContext,
  findings: Findings,
  sources: readonly AllowSource[],
): Promise<void> {
  const health = judgeAllowed(sources, context.probe.nowSec())
  if (health.sourceCount === 0) return
  for (const trouble of health.troubles) findings.warning('allow', trouble, SYNC)
  if (health.troubles.length === 0) {
    const count = `${health.sourceCount} ${health.sourceCount === 1 ? 'exception' : 'exceptions'}`
    findings.ok('allow', `${count}, ${ageText(health, context.probe.nowSec())}`)
  }
  await checkFilled(context, findings, health)
  if (health.domainCount > 0) await checkSchedule(context, findings, health)
}

function ageText({ oldestSec }: AllowHealth, nowSec: number): string {
  if (oldestSec === undefined) return 'none of them a domain'
  return `oldest DNS answer ${formatDuration(Math.max(0, nowSec - oldestSec))} old`
}

async function checkFilled(
  { probe, settings }: DoctorContext,
  findings: Findings,
  { networkCount }: AllowHealth,
): Promise<void> {
  const { name } = ALLOW_TABLE
  const tables = await countTables(probe, settings, [name])
  // Reported by the checks of the packet filter.
  if (tables.kind === 'unseen') return
  const held = tables.counts.get(name)
  if (held === undefined) {
    const fix = 'install the rules of docs/examples that came with this version'
    findings.error('allow.filled', `the packet filter has no table ${name}: exceptions have no effect`, fix)
  } else if (held !== networkCount) {
    const message = `table ${name} holds ${countText(held, 'network')}, but ${networkCount === 1 ? '1 is' : `${networkCount} are`} allowed`
    findings.error('allow.filled', message, `${SYNC} --offline`)
  } else
    findings.ok(
      'allow.filled',
      `table ${name} holds ${held === 1 ? 'the only network' : `all ${held} networks`}`,
    )
}

async function checkSchedule(
  { probe }: DoctorContext,
  findings: Findings,
  { oldestSec }: AllowHealth,
): Promise<void> {
  const schedule = await findSchedule(probe, {
    timer: 'spamd-allow.timer',
    command: /^[^#\n]*spamdctl allow sync/m,
  })
  const age =
    oldestSec === undefined
      ? 'no domain was found yet'
      : `the oldest answer is ${formatDuration(Math.max(0, probe.nowSec() - oldestSec))} old`
  if (schedule === 'unseen')
    findings.info('allow.schedule', `cannot see root's crontab; ${age}`, 'run doctor as root')
  else if (schedule === 'none') {
    const fix =
      probe.system === 'linux'
        ? 'systemctl enable --now spamd-allow.timer'
        : addToCrontab(`43 5,17 * * * /usr/local/bin/node /usr/local/bin/${SYNC} >/dev/null`)
    findings.warning('allow.schedule', `neither cron nor a timer runs ${SYNC}; ${age}`, fix)
  } else
    findings.ok('allow.schedule', `${schedule === 'timer' ? 'a systemd timer' : 'cron'} runs ${SYNC}; ${age}`)
}
