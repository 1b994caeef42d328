import type { ScanReport } from '../../app/control-protocol.js'
import type { ScannerOptions } from './scanner.js'

/** The last whole scan that was completed, and what it was made from. */
export interface WholeScan {
  /** When it began, seconds since the Epoch. */
  atSec: number
  generation: number
  listRevision: number
  /** Brief scans since. */
  briefCount: number
}

/** Of so many scans in a row one is a whole one, whatever happened. */
const WHOLE_SCAN_EVERY = 10

/**
 * True when all that the next scan has to find is what became due. With -d each scan shows every white address; pools
 * are closed by what is TRAPPED or listed anywhere.
 */
export function isBriefEnough(
  whole: WholeScan | undefined,
  last: ScanReport | undefined,
  { followsChanges, debug, poolKinds, whiteTable, keeper, blockLists }: ScannerOptions,
): boolean {
  if (followsChanges !== true || debug !== undefined || whole === undefined) return false
  if (last?.isComplete !== true || last.poolCount > 0 || poolKinds.size > 0) return false
  if (whole.briefCount + 1 >= WHOLE_SCAN_EVERY || !whiteTable.isWhole) return false
  return whole.generation === keeper.generation && whole.listRevision === blockLists.revision
}
