/** Options of spamd for DNS checks of senders. */
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import type { SenderCheckConfig } from '../../app/sender-check-config.js'
import { parseDnsList } from '../../codec/dns/dns-list.js'
import type { OptionSpec } from '../getopt.js'

/** Their rows in the table of options. */
export const SENDER_OPTIONS: readonly OptionSpec[] = [
  {
    long: 'grey-spf',
    value: 'all|FILE',
    summary: "treat all servers that pass a domain's SPF as one client, for all domains or those in a file",
  },
  {
    long: 'spf-fail',
    value: 'trap',
    choices: ['trap'],
    summary: 'trap clients for which the SPF of the sender fails (with --grey-spf)',
  },
  {
    long: 'dnswl',
    value: 'ZONE[=CODES]',
    isRepeatable: true,
    summary: 'make clients on this DNS allow list WHITE at their first attempt',
  },
  {
    long: 'dnsbl',
    value: 'ZONE[=CODES]',
    isRepeatable: true,
    summary: 'keep clients waiting while they are on this DNS block list',
  },
  {
    long: 'dns-server',
    value: 'ADDRESS[:PORT]',
    isRepeatable: true,
    summary: 'name server for SPF and DNS lists instead of resolv.conf(5)',
  },
]

/**
 * Applies one of these options; false when it is none of them. Throws the error made by `fail` from a bad
 * value and a hint.
 */
export function applySenderOption(
  config: SenderCheckConfig,
  name: string,
  value: string,
  fail: (message: string, hint?: string) => Error,
): boolean {
  switch (name) {
    case 'grey-spf':
      if (value === '') throw fail(`--${name}: neither "all" nor a file`)
      // The daemon runs in another folder than the caller.
      config.spf = value === 'all' ? { domainsFile: undefined } : { domainsFile: resolve(value) }
      return true
    case 'spf-fail':
      if (value !== 'trap') throw fail(`--${name} ${value}: must be "trap"`)
      config.trapsSpfFail = true
      return true
    case 'dnswl':
    case 'dnsbl': {
      const list = parseDnsList(value)
      if (list === undefined) {
        throw fail(
          `--${name} ${value}: not a zone, or answers that are not addresses`,
          `write the zone alone, or with the answers that count: --${name} list.example.org=127.0.*.2-3`,
        )
      }
      config[name].push(list)
      return true
    }
    case 'dns-server':
      if (!isServer(value)) {
        throw fail(
          `--${name} ${value}: neither ADDRESS nor ADDRESS:PORT, such as 192.0.2.53:5353 or [2001:db8::53]`,
        )
      }
      config.dnsServers.push(value)
      return true
    default:
      return false
  }
}

function isServer(text: string): boolean {
  if (isIP(text) !== 0) return true
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^[\]:]+))(?::([0-9]{1,5}))?$/.exec(text) ?? []
  const isAddress = bracketed === undefined ? isIP(plain ?? '') === 4 : isIP(bracketed) === 6
  return isAddress && (port === undefined || (Number(port) > 0 && Number(port) < 65_536))
}
