/** carp and pfsync in the outputs of OpenBSD 7, FreeBSD 9, 12, 14 and 15. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseDemotion, parseIfconfig, parseSysctl } from '../../../../src/codec/system/ifconfig.js'

const sample = (name: string): string =>
  readFileSync(join(import.meta.dirname, '../../../corpus/carp', `${name}.txt`), 'latin1')
const carpOf = (name: string) => parseIfconfig(sample(name)).flatMap(({ carp }) => carp)
const pfsyncOf = (name: string) => parseIfconfig(sample(name))[0]?.pfsync

const shared = ['203.0.113.3', '2001:db8:0:1::3']

describe('carp', () => {
  test.each([
    [
      'openbsd-ifconfig-carp0-master',
      { interface: 'carp0', device: 'em0', state: 'MASTER', vhid: 1, advskew: 0 },
    ],
    ['openbsd-ifconfig-carp0-backup', { interface: 'carp0', device: 'em0', state: 'BACKUP', advskew: 100 }],
    ['openbsd-ifconfig-carp0-init', { state: 'INIT' }],
    ['openbsd-ifconfig-carp0-unicast', { state: 'MASTER', peer: '203.0.113.4' }],
    [
      'freebsd14-ifconfig-em0-master',
      { interface: 'em0', device: 'em0', state: 'MASTER', addresses: shared, peer: undefined },
    ],
    ['freebsd14-ifconfig-em0-backup', { state: 'BACKUP', advskew: 100 }],
    ['freebsd14-ifconfig-em0-init', { state: 'INIT' }],
    ['freebsd12-ifconfig-em0-master', { state: 'MASTER', vhid: 1, addresses: shared }],
    ['freebsd9-ifconfig-carp0', { interface: 'carp0', state: 'MASTER', addresses: ['203.0.113.3'] }],
    [
      'freebsd15-ifconfig-em0-vrrp',
      { protocol: 'vrrp', state: 'MASTER', vhid: 1, priority: 100, advskew: undefined },
    ],
  ])('%s', (name, expected) => {
    expect(carpOf(name)).toEqual([expect.objectContaining(expected)])
  })

  test('several nodes of one address on OpenBSD', () => {
    const text =
      'carp0: flags=8843<UP,RUNNING> mtu 1500\n\tcarp: carpdev em0 advbase 1 balancing ip\n' +
      '\t\tstate MASTER vhid 1 advskew 0\n\t\tstate BACKUP vhid 2 advskew 100\n'
    expect(parseIfconfig(text)[0]!.carp).toMatchObject([
      { state: 'MASTER', vhid: 1, advskew: 0 },
      { state: 'BACKUP', vhid: 2, advskew: 100 },
    ])
  })

  test('an interface that does not exist', () => {
    expect(parseIfconfig(sample('freebsd-ifconfig-carp0-missing.stderr'))).toEqual([])
  })
})

describe('pfsync', () => {
  test.each([
    ['openbsd-ifconfig-pfsync0', { syncDevice: 'em2', peer: undefined, isInSync: undefined }],
    ['openbsd-ifconfig-pfsync0-peer', { syncDevice: 'em2', peer: '172.16.0.2', isInSync: undefined }],
    ['openbsd-ifconfig-pfsync0-unset', { syncDevice: undefined, peer: undefined, isInSync: undefined }],
    ['freebsd12-ifconfig-pfsync0', { syncDevice: 'em2', peer: undefined, isInSync: undefined }],
    ['freebsd14-ifconfig-pfsync0', { syncDevice: 'em2', peer: undefined, isInSync: true }],
    ['freebsd15-ifconfig-pfsync0-peer-bulk', { syncDevice: 'em2', peer: '172.16.0.2', isInSync: false }],
    ['freebsd-ifconfig-pfsync0-unset', { syncDevice: undefined, peer: undefined, isInSync: true }],
  ])('%s', (name, expected) => {
    expect(pfsyncOf(name)).toEqual(expected)
  })
})

test('sysctl of all systems, and the demotion counter of OpenBSD', () => {
  expect(parseSysctl(sample('openbsd-sysctl-net.inet.carp')).get('net.inet.carp.log')).toBe('2')
  expect(parseSysctl(sample('freebsd14-sysctl-net.inet.carp-demoted')).get('net.inet.carp.demotion')).toBe(
    '480',
  )
  expect(parseSysctl('net.ipv4.ip_forward = 1\n').get('net.ipv4.ip_forward')).toBe('1')
  expect(parseDemotion(sample('openbsd-ifconfig-g-carp'))).toBe(0)
  expect(parseDemotion(sample('openbsd-ifconfig-g-carp-demoted'))).toBe(33)
  expect(parseDemotion('')).toBeUndefined()
})
