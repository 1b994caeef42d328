import { describe, expect, test } from 'vitest'
import { planSync, type SyncPlanParts } from '../../../../src/app/sync/sync-plan.js'

const parts: SyncPlanParts = {
  async resolve(name) {
    return name === 'mx2.example.org' ? '192.0.2.2' : /^[0-9.]+$/.test(name) ? name : undefined
  },
  interfaceAddress: async (name) =>
    ({ em0: '10.0.0.1', em1: '10.1.0.1', 'em0:5': '10.0.0.5', tun0: null })[name],
}
const plan = (targets: string[], listen?: string) => planSync({ targets, listen }, parts)
const em0 = { interfaceName: 'em0', interfaceAddress: '10.0.0.1', ttl: 1, isSending: true, isReceiving: true }

describe('combinations', () => {
  test('hosts and addresses are peers, in order', async () => {
    expect(await plan(['mx2.example.org', '192.0.2.3'])).toEqual({
      peers: [
        { name: 'mx2.example.org', address: '192.0.2.2' },
        { name: '192.0.2.3', address: '192.0.2.3' },
      ],
      listenAddress: undefined,
      multicast: undefined,
    })
  })
  test('an address to listen on', async () => {
    expect(await plan([], '192.0.2.1')).toEqual({
      peers: [],
      listenAddress: '192.0.2.1',
      multicast: undefined,
    })
  })
  test('an interface to send to', async () => {
    expect((await plan(['em0:7'])).multicast).toEqual({ ...em0, ttl: 7, isReceiving: false })
  })
  test('an interface to listen on', async () => {
    expect((await plan([], 'em0')).multicast).toEqual({ ...em0, isSending: false })
  })
  test.each([
    [['em0'], 'em0', 1],
    [['em0:2'], 'em0:2', 2],
    [['em0:2'], 'em0', 2],
    [['em0'], 'em0:2', 2],
  ])('-Y %s -y %s has ttl %s: the ttl is no part of the name', async (targets, listen, ttl) => {
    expect((await plan(targets, listen)).multicast).toEqual({ ...em0, ttl })
  })
  test('the last interface wins, peers stay', async () => {
    expect(await plan(['em0', '192.0.2.3', 'em1:3'])).toMatchObject({
      peers: [{ name: '192.0.2.3' }],
      multicast: { interfaceName: 'em1', ttl: 3 },
    })
  })
  test('an alias with a colon in its name is an interface without ttl', async () => {
    expect((await plan(['em0:5'])).multicast).toMatchObject({ interfaceName: 'em0:5', ttl: 1 })
  })
})

describe('errors at start', () => {
  test.each([
    [['nosuchif0'], undefined, 'sync init: No such device'],
    [[], 'nosuchif0', 'sync init: No such device'],
    [[], 'mx2.example.org', 'sync init: No such device'],
    [['em0'], 'em1', 'sync init: multicast interface does not match'],
    [['nosuchif0'], 'em1', 'sync init: multicast interface does not match'],
    [['nosuchif0:300'], undefined, 'sync init: invalid multicast ttl 300: too large'],
    [['em0:'], undefined, 'sync init: invalid multicast ttl : invalid'],
    [['typo.example.org', 'em0'], undefined, 'sync init: No such device'],
    [['em0:0'], undefined, 'sync init: invalid multicast ttl 0: too small'],
    [['em0:256'], undefined, 'sync init: invalid multicast ttl 256: too large'],
    [['em0:x'], undefined, 'sync init: invalid multicast ttl x: invalid'],
    [['tun0'], undefined, 'sync init: interface tun0 has no IPv4 address'],
  ])('-Y %j -y %s: %s', async (targets, listen, message) => {
    await expect(plan(targets, listen)).rejects.toMatchObject({ code: 'ERR_SYNC_INIT', message })
  })
  test('an empty name is no host', async () => {
    await expect(planSync({ targets: [''], listen: undefined })).rejects.toThrow('sync init: No such device')
  })
  test('the number of targets is bounded', async () => {
    await expect(plan(new Array(257).fill('192.0.2.1'))).rejects.toThrow('more than 256 targets')
  })
})
