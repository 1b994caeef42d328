import { AppError } from './app-error.js'
import { listInterfaces } from './interface-index.js'
import { loadPcap, openPcapCapture } from './live-capture.js'
import { isNflogDevice, type LiveCapture, type LiveCaptureRequest } from './live-capture-source.js'
import { openTcpdumpCapture } from './live-capture-tcpdump.js'

/** The kernel also reports "not permitted" for a group that another process uses. */
const GROUP_TAKEN = /group index/i
const DENIAL = /not permitted|permission/i
const WRONG_LINK_TYPE = /only on PF linktype/i
const NO_DEVICE = /no such device|not configured|doesn't exist|not exist|can't be opened|no such network/i
/** Maximum number of interface names in a message. */
const MAX_LISTED_INTERFACES = 16

/**
 * Opens a packet log with libpcap, else with tcpdump. Errors: `AppError` `ERR_CAPTURE_OPEN` (message is the
 * system's reason, the hint says which device is missing), `ERR_CAPTURE_DENIED` (which right), `ERR_CAPTURE_MISSING` (nothing on this
 * host can capture; the hint says what to install).
 */
export async function openLiveCapture(
  request: LiveCaptureRequest,
  openers: {
    load: typeof loadPcap
    openPcap: typeof openPcapCapture
    openTcpdump: typeof openTcpdumpCapture
  } = {
    load: loadPcap,
    openPcap: openPcapCapture,
    openTcpdump: openTcpdumpCapture,
  },
): Promise<LiveCapture> {
  try {
    const pcap = await openers.load().catch((error: unknown) => {
      if (error instanceof AppError && error.code === 'ERR_CAPTURE_MISSING') return undefined
      throw error
    })
    if (pcap !== undefined) return await openers.openPcap(request, pcap)
    return await openers.openTcpdump(request)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    if (error.code === 'ERR_PROCESS_MISSING') {
      throw new AppError('ERR_CAPTURE_MISSING', 'neither libpcap nor tcpdump is available for capturing', {
        hint: 'install libpcap and a compiler and run "npm rebuild pcap" (Debian: apt-get install libpcap-dev g++ make), or install tcpdump',
        cause: error,
      })
    }
    throw new CaptureOpenError(error, request.device)
  }
}

/* eslint-disable no-restricted-syntax -- libpcap and tcpdump give a text and no code: here it is read, and nowhere else */
/** Why a packet log did not open, with what its text tells about the reason. */
export class CaptureOpenError extends AppError {
  /** The last part of the text where that is a sentence of its own, as those of strerror(3) are. */
  readonly errnoText: string | undefined

  constructor(error: AppError, device: string) {
    const { code, message, cause } = error
    const isDenied = code === 'ERR_CAPTURE_OPEN' && DENIAL.test(message) && !GROUP_TAKEN.test(message)
    super(isDenied ? 'ERR_CAPTURE_DENIED' : code, message, { hint: hintFor(message, device), cause })
    this.errnoText = /: ([A-Z][^:]*)$/.exec(message)?.[1]
  }
}

function hintFor(reason: string, device: string): string | undefined {
  if (GROUP_TAKEN.test(reason)) {
    return 'another process already listens to this nflog group: each group can have only one listener'
  }
  if (WRONG_LINK_TYPE.test(reason)) {
    return `${device} is not a packet log: use pflog0 or another pflog interface, on Linux nflog:GROUP`
  }
  if (DENIAL.test(reason)) {
    if (isNflogDevice(device)) return 'nflog needs root or the capability CAP_NET_ADMIN'
    return process.platform === 'linux'
      ? 'capturing needs root or the capability CAP_NET_RAW'
      : 'capturing needs root or the right to read /dev/bpf'
  }
  if (NO_DEVICE.test(reason)) {
    const names = listInterfaces()
    const rest = names.length > MAX_LISTED_INTERFACES ? ', ...' : ''
    return `interfaces here: ${names.slice(0, MAX_LISTED_INTERFACES).join(', ')}${rest}`
  }
  return undefined
}
/* eslint-enable no-restricted-syntax */
