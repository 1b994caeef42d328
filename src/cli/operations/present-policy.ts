import { readDaemonAnswer } from '../../app/doctor/context.js'

/** The current settings of the running spamd, or its defaults when it cannot be queried. */
export interface PresentPolicy {
  passSec: number
  /** It recognises pools of senders by their networks. */
  hasPoolKeys: boolean
}

/** Source: spamd(8), -G. */
const DEFAULT_PASS_SEC = 1500

/** Queries the running spamd; never throws. */
export async function presentPolicy(controlSocket: string): Promise<PresentPolicy> {
  const answer = await readDaemonAnswer(controlSocket)
  if (answer.kind !== 'status') return { passSec: DEFAULT_PASS_SEC, hasPoolKeys: false }
  const { policy, greyPrefix4, greyPrefix6 } = answer.status
  return { passSec: policy.passSec, hasPoolKeys: greyPrefix4 !== undefined || greyPrefix6 !== undefined }
}
