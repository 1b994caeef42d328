/** Options of spamd beyond greylisting: learn-only mode, and checks that need DNS. */
import { countText } from '../../codec/count-text.js'
import type { DoctorContext } from './context.js'
import { logCommand } from './daemon-checks.js'
import type { Findings } from './finding.js'

/** Fewer unanswered queries mean nothing: servers of spammers' domains are often dead. */
const MIN_FAILED = 20

/** Checks `spamd.learn` and `spamd.dns`. */
export function checkSenders(context: DoctorContext, findings: Findings): void {
  const { daemon } = context
  if (daemon.kind !== 'status' || daemon.status.mode === 'block-lists') return
  const { isLearning, senders } = daemon.status
  if (isLearning === true) {
    const message = 'learn-only mode: every client that retries passes'
    findings.warning('spamd.learn', message, 'start spamd without --learn')
  }
  if (senders === undefined) return
  const { answered, failed } = senders
  if (failed >= MIN_FAILED && failed > answered) {
    const message = `DNS does not answer spamd: ${failed} of ${failed + answered} queries failed, so SPF and DNS lists have no effect`
    findings.warning(
      'spamd.dns',
      message,
      `check /etc/resolv.conf or --dns-server; ${logCommand(context, 'spamd')}`,
    )
  } else
    findings.ok(
      'spamd.dns',
      `DNS answered ${answered} of ${countText(failed + answered, 'query', 'queries')} from spamd`,
    )
}
