import { expect, test } from 'vitest'
import { renderSyncStatus } from '../../../../src/cli/spamd/render-sync-status.js'

test('every fact is a line', () => {
  expect(
    renderSyncStatus({
      multicast: { interface: 'em0', ttl: 2, group: '224.0.1.240', sends: true, receives: true },
      peers: [
        { name: 'mx2.example.org', address: '192.0.2.2' },
        { name: '192.0.2.3', address: '192.0.2.3' },
      ],
      keyFingerprint: 'SHA256:0123',
      sent: { announced: 5, sent: 15, failed: 0, tooLong: 1, ipv6: 2 },
      received: { received: 9, accepted: 7, refused: { hmac: 1, repeated: 1 } },
      entries: { applied: 6, ignored: 1, dropped: 0 },
    }),
  ).toBe(`key: SHA256:0123
multicast: em0 224.0.1.240 ttl 2, sends and receives
peer: mx2.example.org (192.0.2.2)
peer: 192.0.2.3
events announced: 5
datagrams sent: 15
datagrams that could not be sent: 0
events not sent: too long: 1
events not sent: IPv6: 2
datagrams received: 9
accepted: 7
refused: hmac: 1
refused: repeated: 1
entries applied: 6
entries ignored: 1
entries dropped: 0
`)
})

test('a receiver without a key', () => {
  expect(renderSyncStatus({ listening: '192.0.2.1', peers: [] })).toBe(
    'key: none: anyone can forge messages\nlistening on: 192.0.2.1\n',
  )
})
