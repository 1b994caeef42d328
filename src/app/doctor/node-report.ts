/**
 * What `spamdctl doctor --json` reports about its gateway for the doctor of the other one (`--peer FILE`):
 * whether both agree can only be decided with the facts of both.
 */
import { AppError } from '../../platform/app-error.js'

export interface NodeReport {
  host: string
  /** When it was made, seconds since the Epoch. */
  timeSec: number
  carp: { vhid: number; state: string; advskew: number | null; protocol: string }[]
  /** `net.inet.carp.preempt`. */
  preempt: boolean | null
  keyFingerprint: string | null
  hasDatabase: boolean | null
}

/** Reads the output of `doctor --json`; throws `AppError` `ERR_DOCTOR_PEER` for anything else. */
export function parseNodeReport(text: string): NodeReport {
  try {
    const { node } = JSON.parse(text) as { node?: Partial<NodeReport> }
    if (node !== undefined && typeof node.timeSec === 'number' && Array.isArray(node.carp)) {
      return {
        host: typeof node.host === 'string' ? node.host : 'the other gateway',
        timeSec: node.timeSec,
        carp: node.carp.filter(({ vhid, state }) => typeof vhid === 'number' && typeof state === 'string'),
        preempt: node.preempt ?? null,
        keyFingerprint: node.keyFingerprint ?? null,
        hasDatabase: node.hasDatabase ?? null,
      }
    }
  } catch {
    // Reported below, like JSON that is not a report.
  }
  throw new AppError('ERR_DOCTOR_PEER', 'this is not the report of another gateway', {
    hint: 'ssh OTHER spamdctl doctor --json | spamdctl doctor --peer -',
  })
}
