import { expect, test } from 'vitest'
import {
  findOwnAddresses,
  gatewaysOfIpv4Routes,
  gatewaysOfIpv6Routes,
} from '../../../src/platform/own-addresses.js'

test('default gateways are read from the route tables of Linux', () => {
  const ipv4 = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    'ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0',
    'eth1\t00000000\tx\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    '',
  ].join('\n')
  expect(gatewaysOfIpv4Routes(ipv4)).toEqual(['192.0.2.1'])
  const zero = '0'.repeat(32)
  const gateway = '20010db8000000000000000000000001'
  const ipv6 = [
    `${zero} 00 ${zero} 00 ${gateway} 00000400 00000001 00000000 00000003     eth0`,
    `${gateway} 40 ${zero} 00 ${zero} 00000100 00000001 00000000 00000001     eth0`,
    `${zero} 00 ${zero} 00 ${zero} ffffffff 00000001 00000000 00200200       lo`,
    `${zero} 40 ${zero} 00 ${gateway} 00000400 00000001 00000000 00000003     eth0`,
    '',
  ].join('\n')
  expect(gatewaysOfIpv6Routes(ipv6)).toEqual(['2001:0db8:0000:0000:0000:0000:0000:0001'])
  expect(gatewaysOfIpv4Routes('')).toEqual([])
  expect(gatewaysOfIpv6Routes('')).toEqual([])
})

test('the addresses of this host are among its own', async () => {
  const addresses = await findOwnAddresses()
  expect(addresses.every((address) => !address.includes('%'))).toBe(true)
  expect(new Set(addresses).size).toBe(addresses.length)
})
