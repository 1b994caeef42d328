import type { ScanReport } from '../../app/control-protocol.js'
import type { DebugOutput } from '../debug-output.js'
import type { BlockLists } from '../lists/block-lists.js'
import type { StoreKeeper } from '../store/store-keeper.js'
import type { WhiteTable } from './white-table.js'

/** The last complete whole scan, and its inputs. */
export interface WholeScan {
  /** When it began, seconds since the Epoch. */
  atSec: number
  generation: number
  listRevision: number
  /** Brief scans since. */
  briefCount: number
}

/** The parts of the daemon on which it depends; see `ScannerOptions`. */
export interface BriefScanOptions {
  followsChanges?: boolean
  debug?: DebugOutput | undefined
  whiteTable: Pick<WhiteTable, 'isWhole'>
  keeper: Pick<StoreKeeper, 'generation'>
  blockLists: Pick<BlockLists, 'revision'>
}

/** One of this many consecutive scans is always a whole one: an hour with the usual interval. */
const WHOLE_SCAN_EVERY = 60

/** On a server that many gateways share a whole scan may find that it has nothing to do; one that is asked for may not. */
export type ScanKind = 'brief' | 'whole' | 'asked'

/** What the next scan is. New lists are as good as somebody who asks: what they hold must leave the table here. */
export function nextScanKind(
  whole: WholeScan | undefined,
  last: ScanReport | undefined,
  options: BriefScanOptions,
): ScanKind {
  if (isBriefEnough(whole, last, options)) return 'brief'
  return whole !== undefined && whole.listRevision !== options.blockLists.revision ? 'asked' : 'whole'
}

/**
 * True when the next scan only has to find what became due. With -d each scan shows every WHITE address;
 * open networks of pools are closed by any TRAPPED or listed address.
 */
function isBriefEnough(
  whole: WholeScan | undefined,
  last: ScanReport | undefined,
  { followsChanges, debug, whiteTable, keeper, blockLists }: BriefScanOptions,
): boolean {
  if (followsChanges !== true || debug !== undefined || whole === undefined) return false
  if (last?.isComplete !== true || last.poolCount > 0) return false
  if (whole.briefCount + 1 >= WHOLE_SCAN_EVERY || !whiteTable.isWhole) return false
  return whole.generation === keeper.generation && whole.listRevision === blockLists.revision
}
