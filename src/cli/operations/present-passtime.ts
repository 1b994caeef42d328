import { readDaemonAnswer } from '../../app/doctor/context.js'

/** Source: spamd(8), -G. */
const DEFAULT_PASS_SEC = 1500

/** Passtime of the running spamd in seconds; its default when it cannot be asked. */
export async function presentPassSec(controlSocket: string): Promise<number> {
  const answer = await readDaemonAnswer(controlSocket)
  return answer.kind === 'status' ? answer.status.policy.passSec : DEFAULT_PASS_SEC
}
