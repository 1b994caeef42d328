/** A packet log that is read as it grows, by whatever reader. */
import type { ByteOrder } from '../codec/capture/nflog.js'

export interface LiveCaptureRequest {
  /** `pflog0`, `nflog:25`, `nflog:155,255`. */
  device: string
  /** Filter for the kernel, if the device supports one; '' for none. Built only from our own words. */
  filter: string
  /** User that a capture program should run as once it has opened the device, when we are root. */
  user?: string
  /** Aborted when nobody waits for the device to be opened any more. */
  stop?: AbortSignal
  onPacket: (bytes: Uint8Array, timeSec: number) => void
  /**
   * The capture ended: the device vanished or its program ended. Called at most once, never after `close`.
   */
  onFailure: (reason: string) => void
  /** The kernel lost packets (the number is unknown), or the capture is degraded. */
  onTrouble: (message: string) => void
}

/**
 * Errors of opening: `AppError` `ERR_CAPTURE_OPEN` (message is the system's reason), `ERR_CAPTURE_DENIED`
 * (the same, for lack of privileges) or `ERR_CAPTURE_MISSING`.
 */
export interface LiveCapture {
  readonly linkType: number
  readonly byteOrder: ByteOrder
  /** The reader: `libpcap` or `tcpdump`. */
  readonly reader: 'libpcap' | 'tcpdump'
  /** Losses noticed so far: on nflog, events and not packets. */
  lostCount(): number
  /** Ends the capture; nothing is called afterwards. */
  close(): Promise<void>
}

/** Captured bytes of each packet: PCAPSNAP of spamlogd. */
const SNAP_LENGTH_BYTES = 512
/**
 * On nflog, libpcap's buffer is only as large as one packet of the snap length, but the kernel sends many in
 * one message of several KiB: with 512 it truncates the message, loses the rest and never recovers.
 */
const NFLOG_SNAP_LENGTH_BYTES = 65_535

/** Names groups of Linux's NFLOG instead of an interface. */
export function isNflogDevice(device: string): boolean {
  return device === 'nflog' || device.startsWith('nflog:')
}

/** The snap length to open a device with. */
export function snapLengthBytes(device: string): number {
  return isNflogDevice(device) ? NFLOG_SNAP_LENGTH_BYTES : SNAP_LENGTH_BYTES
}
