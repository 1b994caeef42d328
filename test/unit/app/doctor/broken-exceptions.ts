/** What breaks about exceptions, pools and a database that is shared, and what doctor must say of it. */
import { addExceptions, exceptionOf, IPV4_SET, RULESET, TIMER } from '../../../support/doctor-exceptions.js'
import { TEST_NOW } from '../../../support/program-run.js'
import type { BrokenGateway } from './broken-gateways.js'

const DAY_SEC = 86_400

export const EXCEPTIONS: BrokenGateway[] = [
  {
    system: 'linux',
    name: 'DNS has not named the networks of an exception for days',
    break: (scene) => addExceptions(scene, exceptionOf({ checked: TEST_NOW - 4 * DAY_SEC })),
    finding: {
      id: 'allow',
      level: 'warning',
      message: 'exception bulk.example: its networks were last found 4d ago, and are dropped in 26d',
      fix: 'spamdctl allow sync',
    },
    isDocumented: true,
  },
  {
    system: 'linux',
    name: 'the networks of an exception were dropped',
    break: (scene) => addExceptions(scene, exceptionOf({ checked: TEST_NOW - 31 * DAY_SEC })),
    finding: {
      id: 'allow',
      level: 'warning',
      message: 'exception bulk.example lets nobody through: its networks, found 31d ago, were dropped',
      fix: 'spamdctl allow sync',
    },
  },
  {
    system: 'linux',
    name: 'an exception was never found',
    break: (scene) => addExceptions(scene, exceptionOf({ checked: 0, networks: [] })),
    finding: {
      id: 'allow',
      level: 'warning',
      message: 'exception bulk.example lets nobody through: DNS has not named its networks yet',
      fix: 'spamdctl allow sync',
    },
  },
  {
    system: 'linux',
    name: 'the set of exceptions was flushed',
    break: async (scene) => {
      await addExceptions(scene)
      for (const command of [IPV4_SET, `${IPV4_SET}6`])
        scene.probe.edit(command, /"elem":\[.*?\]/, '"elem":[]')
    },
    finding: {
      id: 'allow.filled',
      level: 'error',
      message: 'table spamd-allow holds 0 networks, but 2 are allowed',
      fix: 'spamdctl allow sync --offline',
    },
    isDocumented: true,
  },
  {
    system: 'linux',
    name: 'rules of before have no set of exceptions',
    break: async (scene) => {
      await addExceptions(scene)
      for (const command of [IPV4_SET, `${IPV4_SET}6`])
        scene.probe.set(command, 'status 1\nstderr Error: No such file or directory')
    },
    finding: {
      id: 'allow.filled',
      level: 'error',
      message: 'the packet filter has no table spamd-allow: exceptions have no effect',
      fix: 'docs/examples',
    },
    isDocumented: true,
  },
  {
    system: 'openbsd',
    name: 'the table of exceptions holds less than it should',
    break: async (scene) => {
      await addExceptions(scene)
      scene.probe.edit('pfctl -vvs Tables', /(spamd-allow\n\tAddresses: +)2/, '$11')
    },
    finding: {
      id: 'allow.filled',
      level: 'error',
      message: 'table spamd-allow holds 1 network, but 2 are allowed',
      fix: 'spamdctl allow sync --offline',
    },
  },
  {
    system: 'linux',
    name: 'exceptions are sent to spamd',
    break: async (scene) => {
      await addExceptions(scene)
      scene.probe.edit(
        RULESET,
        '"right": "@spamd-allow"}}, {"accept": null}',
        '"right": "@spamd-allow"}}, {"counter": {"packets": 0, "bytes": 0}}',
      )
    },
    finding: {
      id: 'nft.allow',
      level: 'error',
      message: 'IPv4 mail from @spamd-allow is sent to spamd, so exceptions have no effect',
      fix: 'ip saddr @spamd-allow accept',
    },
  },
  {
    system: 'openbsd',
    name: 'exceptions are sent to spamd',
    break: async (scene) => {
      await addExceptions(scene)
      scene.probe.edit('pfctl -s rules', /^pass in .* from <spamd-allow> .*\n/m, '')
    },
    finding: {
      id: 'pf.allow',
      level: 'error',
      message: 'IPv4 mail from <spamd-allow> is sent to spamd',
      fix: 'from <spamd-allow> to any port smtp',
    },
  },
  {
    system: 'linux',
    name: 'nobody asks DNS for exceptions',
    break: async (scene) => {
      await addExceptions(scene)
      scene.probe.set(TIMER, 'ActiveState=inactive\n')
    },
    finding: {
      id: 'allow.schedule',
      level: 'warning',
      message: 'neither cron nor a timer runs spamdctl allow sync; the oldest answer is 1h old',
      fix: 'systemctl enable --now spamd-allow.timer',
    },
    isDocumented: true,
  },
  {
    system: 'linux',
    name: 'DNS does not answer spamd',
    break: ({ status }) => {
      status.senders = { spf: 'all', dnswl: [], dnsbl: [], answered: 3, failed: 412 }
    },
    finding: {
      id: 'spamd.dns',
      level: 'warning',
      message: 'DNS does not answer spamd: 412 of 415 queries failed, so SPF and DNS lists have no effect',
      fix: 'check /etc/resolv.conf or --dns-server; journalctl -u spamd',
    },
    isDocumented: true,
  },
  {
    system: 'linux',
    name: 'learn-only mode was forgotten',
    break: ({ status }) => {
      status.isLearning = true
    },
    finding: {
      id: 'spamd.learn',
      level: 'warning',
      message: 'learn-only mode: every client that retries passes',
      fix: 'start spamd without --learn',
    },
    isDocumented: true,
  },
  {
    system: 'linux',
    name: 'the database server is away, and spamd goes on alone',
    break: ({ status }) => {
      status.aloneSinceSec = TEST_NOW - 1800
    },
    finding: {
      id: 'spamd.database',
      level: 'warning',
      message: 'the database server is unreachable: spamd has used its local database for 30m',
      fix: 'journalctl -u spamd',
    },
    isDocumented: true,
  },
  {
    system: 'linux',
    name: 'the database server cannot be reached',
    break: (scene) => {
      scene.settings.db = 'postgresql://spamd@127.0.0.1:1/spamd'
      scene.status.database = scene.settings.db
    },
    finding: {
      id: 'database',
      level: 'error',
      message: 'cannot open postgresql://spamd@127.0.0.1:1/spamd for reading: Connection refused',
      fix: '',
    },
    isDocumented: true,
  },
]
