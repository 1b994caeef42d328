/** The behaviour required of every packet filter back end: one table of cases for all. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { Firewall, TableChange, TableSpec } from '../../src/firewall/backend.js'
import { sortPrefixes } from '../../src/firewall/prefix-lines.js'
import { contentOf, networks } from './table-content.js'

export interface ConformanceOptions {
  /** A back end whose tables do not exist yet. */
  open: () => Promise<Firewall>
  /** Size of the large table. */
  largeCount: number
  /** Prefix of the table names; ours if not given. */
  prefix?: string
}

/** Declares the cases for one back end. */
export function describeConformance(name: string, options: ConformanceOptions): void {
  const prefix = options.prefix ?? 'spamd'
  const NETWORKS: TableSpec = { name: prefix, content: 'networks' }
  const HOSTS: TableSpec = { name: `${prefix}-white`, content: 'hosts' }
  describe(name, () => {
    let firewall: Firewall
    beforeEach(async () => {
      firewall = await options.open()
    })
    const load = (table: TableSpec, prefixes: readonly string[]) =>
      firewall.replaceTable(table, contentOf(prefixes))

    test('a table that was never loaded does not exist', async () => {
      expect(await firewall.readTable(NETWORKS)).toBeUndefined()
      expect(await firewall.readTable(HOSTS)).toBeUndefined()
    })

    test('networks of both families are read back, ascending, IPv4 first', async () => {
      const wanted = [
        '9.0.0.0/8',
        '10.0.0.0/24',
        '10.0.1.0/25',
        '10.0.1.128/32',
        '2001:db8::/32',
        '2001:db9::1/128',
      ]
      await load(NETWORKS, wanted)
      expect(await firewall.readTable(NETWORKS)).toEqual(wanted)
    })

    test('the ends of the address spaces', async () => {
      const wanted = [
        '1.0.0.0/8',
        '127.255.255.255/32',
        '128.0.0.0/2',
        '255.255.255.254/31',
        '::1/128',
        '4000::/2',
        '8000::/2',
        'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128',
      ]
      await load(NETWORKS, wanted)
      expect(await firewall.readTable(NETWORKS)).toEqual(wanted)
    })

    test('neighbours are kept apart as they were given', async () => {
      const wanted = ['10.0.0.0/25', '10.0.0.128/25', '10.0.1.0/24', '2001:db8::/33', '2001:db8:8000::/33']
      await load(NETWORKS, wanted)
      expect(await firewall.readTable(NETWORKS)).toEqual(wanted)
    })

    test('hosts are read back with their full length', async () => {
      const wanted = [
        '192.0.2.1/32',
        '192.0.2.2/32',
        '198.51.100.255/32',
        '2001:db8::1/128',
        '2001:db8::2/128',
      ]
      await load(HOSTS, wanted)
      expect(await firewall.readTable(HOSTS)).toEqual(wanted)
    })

    test('a table is replaced whole: what is not wanted goes, what stays stays', async () => {
      await load(NETWORKS, ['10.0.0.0/8', '192.0.2.0/24', '2001:db8::/32'])
      await load(NETWORKS, ['192.0.2.0/24', '198.51.100.0/24'])
      expect(await firewall.readTable(NETWORKS)).toEqual(['192.0.2.0/24', '198.51.100.0/24'])
      await load(NETWORKS, ['2001:db8::/48'])
      expect(await firewall.readTable(NETWORKS)).toEqual(['2001:db8::/48'])
    })

    test('the same content again', async () => {
      for (let round = 0; round < 2; round += 1) await load(HOSTS, ['192.0.2.1/32', '2001:db8::1/128'])
      expect(await firewall.readTable(HOSTS)).toEqual(['192.0.2.1/32', '2001:db8::1/128'])
    })

    test('an emptied table exists and is empty', async () => {
      await load(HOSTS, ['192.0.2.1/32', '2001:db8::1/128'])
      await load(HOSTS, [])
      expect(await firewall.readTable(HOSTS)).toEqual([])
    })

    test('a table first loaded empty exists', async () => {
      await load(NETWORKS, [])
      expect(await firewall.readTable(NETWORKS)).toEqual([])
    })

    test('tables do not touch each other', async () => {
      await load(NETWORKS, ['10.0.0.0/8'])
      await load(HOSTS, ['192.0.2.1/32'])
      await load(NETWORKS, [])
      expect(await firewall.readTable(HOSTS)).toEqual(['192.0.2.1/32'])
    })

    test.each([
      '0.0.0.0/0',
      '::/0',
      'localhost',
      '$(reboot)',
      '10.0.0.0/8 }; flush ruleset #',
      '!10.0.0.0/8',
      '10.0.0.1/8',
    ])('%s is refused before anything is run, the old content stays', async (bad) => {
      await load(NETWORKS, ['10.0.0.0/8'])
      await expect(load(NETWORKS, ['9.0.0.0/8', bad])).rejects.toMatchObject({ code: 'ERR_FIREWALL_CONTENT' })
      expect(await firewall.readTable(NETWORKS)).toEqual(['10.0.0.0/8'])
    })

    test('two replaces at once: one of them wins whole', async () => {
      const [first, second] = [networks(200, 1), networks(300, 60)]
      await Promise.all([load(NETWORKS, first), load(NETWORKS, second)])
      const found = await firewall.readTable(NETWORKS)
      expect(found?.[0] === first[0] ? first : second).toEqual(found)
    })

    const change = (table: TableSpec, verb: TableChange, prefixes: readonly string[]) =>
      firewall.changeTable(table, verb, contentOf(prefixes))

    test('entries are added to what is there, some of them for the second time', async () => {
      await load(HOSTS, ['192.0.2.1/32', '2001:db8::1/128'])
      await change(HOSTS, 'add', ['192.0.2.1/32', '192.0.2.9/32', '2001:db8::9/128'])
      expect(await firewall.readTable(HOSTS)).toEqual([
        '192.0.2.1/32',
        '192.0.2.9/32',
        '2001:db8::1/128',
        '2001:db8::9/128',
      ])
    })

    test('entries are deleted, some of which are not there', async () => {
      await load(HOSTS, ['192.0.2.1/32', '192.0.2.2/32', '2001:db8::1/128'])
      await change(HOSTS, 'delete', ['192.0.2.2/32', '192.0.2.77/32', '2001:db8::1/128', '2001:db8::77/128'])
      expect(await firewall.readTable(HOSTS)).toEqual(['192.0.2.1/32'])
    })

    test('entries are added to a table that is not there yet', async () => {
      await change(HOSTS, 'add', ['192.0.2.1/32'])
      expect(await firewall.readTable(HOSTS)).toEqual(['192.0.2.1/32'])
    })

    test('a change that is no canonical prefix is refused before anything is run', async () => {
      await load(HOSTS, ['192.0.2.1/32'])
      await expect(change(HOSTS, 'add', ['192.0.2.0/24'])).rejects.toMatchObject({
        code: 'ERR_FIREWALL_CONTENT',
      })
      await expect(change(HOSTS, 'delete', ['$(reboot)'])).rejects.toMatchObject({
        code: 'ERR_FIREWALL_CONTENT',
      })
      expect(await firewall.readTable(HOSTS)).toEqual(['192.0.2.1/32'])
    })

    test('the count is that of the entries, or not told', async () => {
      await load(HOSTS, ['192.0.2.1/32', '192.0.2.2/32', '2001:db8::1/128'])
      expect([3, undefined]).toContain(await firewall.countTable(HOSTS))
    })

    test('a large table in the place of a small one', async () => {
      await load(NETWORKS, networks(100, 1))
      const wanted = [...networks(options.largeCount, 60), '2001:db8::/32']
      await load(NETWORKS, wanted)
      const found = await firewall.readTable(NETWORKS)
      // Compared as one text: comparing that many lines one by one takes longer than loading them.
      expect(found?.join('\n') === sortPrefixes(wanted).join('\n')).toBe(true)
    })

    test('it says what it is in one line', async () => {
      expect(firewall.describe()).toMatch(/^[^\n]+$/)
      expect(await firewall.limits()).toHaveProperty('maxEntries')
    })
  })
}
