import type { StateStatus, SyncStatus } from '../../app/control-protocol.js'
import { escapeControl } from '../../codec/escape.js'
import { formatUtcTime } from '../../codec/utc-time.js'

/** Names of the counters for sending. */
const SENT_NAMES: Readonly<Record<string, string>> = {
  announced: 'events announced',
  sent: 'datagrams sent',
  failed: 'datagrams that could not be sent',
  tooLong: 'events not sent: too long',
  ipv6: 'events not sent: IPv6',
}

/** One fact per line, `name: value`, each line with its line end. */
// eslint-disable-next-line complexity -- one line for each part that is there
export function renderSyncStatus(status: SyncStatus): string {
  const lines: [string, string | number][] = [
    ['key', status.keyFingerprint ?? 'none: anyone can forge messages'],
  ]
  if (status.listening !== undefined) lines.push(['listening on', status.listening])
  if (status.multicast !== undefined) {
    const { sends, receives, group, ttl } = status.multicast
    const direction = sends && receives ? 'sends and receives' : sends ? 'sends' : 'receives'
    lines.push(['multicast', `${status.multicast.interface} ${group} ttl ${ttl}, ${direction}`])
  }
  for (const { name, address } of status.peers) {
    lines.push(['peer', name === address ? name : `${name} (${address})`])
  }
  for (const [name, count] of Object.entries(status.sent ?? {})) lines.push([SENT_NAMES[name] ?? name, count])
  if (status.received !== undefined) {
    lines.push(['datagrams received', status.received.received], ['accepted', status.received.accepted])
    for (const [reason, count] of Object.entries(status.received.refused)) {
      lines.push([`refused: ${reason}`, count])
    }
  }
  for (const [name, count] of Object.entries(status.entries ?? {})) lines.push([`entries ${name}`, count])
  if (status.state !== undefined) addState(lines, status.state)
  return lines.map(([name, value]) => `${name}: ${escapeControl(String(value))}\n`).join('')
}

function addState(lines: [string, string | number][], { peers, sent, received }: StateStatus): void {
  for (const { address, lastSec, missingCount, missingSinceSec } of peers) {
    const missed =
      missingSinceSec === undefined
        ? ''
        : `, ${missingCount} changes missed: spamdctl pull ${address} --since`
    lines.push(['version 3 with', `${address}, last heard ${formatUtcTime(lastSec)}${missed}`])
  }
  lines.push(['version 3 messages sent', sent.messages], ['version 3 entries sent', sent.records])
  const { gaps, ...results } = received
  for (const [name, count] of Object.entries(results)) lines.push([`version 3 entries ${name}`, count])
  lines.push(['version 3 gaps', gaps])
}
