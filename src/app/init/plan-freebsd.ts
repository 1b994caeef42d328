/** A gateway on FreeBSD: pf with rdr, rc.d in /usr/local. */
import type { InitInput, InitPlan } from './init-types.js'
import { run, whole } from './plan-openbsd.js'
import {
  friendsFile,
  ownersFile,
  spamdConf,
  spamdFlags,
  spamlogdFlags,
  syncSteps,
  variableLine,
} from './shared-files.js'

const FOLDER = '/usr/local/etc/spamd'
const KEY = `${FOLDER}/spamd.key`

/** Files below /usr/local/etc and lines of rc.conf; pf.conf whole, since its translation rules come before the others. */
export function freebsdPlan(input: InitInput): InitPlan {
  const { answers, example, isThere } = input
  const isGreylisting = answers.mode === 'greylist'
  const daemons = isGreylisting ? ['spamdctl_spamd', 'spamdctl_spamlogd'] : ['spamdctl_spamd']
  return {
    files: [
      spamdConf(`${FOLDER}/spamd.conf`, `${FOLDER}/friends.txt`, input),
      friendsFile(`${FOLDER}/friends.txt`),
      ownersFile(
        `${FOLDER}/nospamd`,
        'senders that are never greylisted; pf refuses all rules without this file',
        ['Senders that are never greylisted, one address or network a line.'],
      ),
      whole('/etc/pf.conf', 'rules that send strangers to spamd and log who passes', 0o600, pfRules(input)),
      ...daemons.map((name) =>
        whole(`/usr/local/etc/rc.d/${name}`, 'start and stop', 0o555, example(`freebsd/rc.d/${name}`)),
      ),
      whole(
        '/usr/local/etc/syslog.d/spamdctl.conf',
        'a log of their own',
        0o644,
        example('freebsd/syslog.d/spamdctl.conf'),
      ),
      whole(
        '/usr/local/etc/newsyslog.conf.d/spamdctl.conf',
        'rotate the log',
        0o644,
        example('freebsd/newsyslog.conf.d/spamdctl.conf'),
      ),
      ...(answers.lists.length > 0
        ? [
            whole(
              '/usr/local/etc/cron.d/spamdctl',
              'fetch the block lists every hour',
              0o644,
              example('freebsd/crontab'),
            ),
          ]
        : []),
      {
        path: '/etc/rc.conf',
        purpose: 'the daemons and their flags',
        mode: 0o644,
        content: {
          kind: 'lines',
          ifMissing: '',
          lines: rcVariables(input).map(([name, value]) => variableLine(name, value)),
        },
      },
    ],
    commands: [
      ...['_spamd', '_spamdfeed'].map((user) => ({
        ...run(
          ['pw', 'useradd', user, '-d', '/nonexistent', '-s', '/usr/sbin/nologin'],
          `make the user ${user}`,
          true,
        ),
        unless: ['pw', 'usershow', user] as const,
      })),
      run([`${input.programFolder}/spamdctl`, 'init-db'], 'make the database', true),
      ...(answers.peer === undefined || isThere(KEY)
        ? []
        : [
            run([`${input.programFolder}/spamdctl`, 'sync-key'], 'make the key of the synchronisation', true),
          ]),
      ...daemons.map((name) => run(['service', name, 'start'], `start ${name}`, true)),
      run(['pfctl', '-nf', '/etc/pf.conf'], 'check the rules', true),
      run(['service', 'pf', 'reload'], 'send strangers to spamd', true),
    ],
    byHand: [
      ...(isThere('/etc/pf.conf')
        ? ['merge /etc/pf.conf.new into /etc/pf.conf: rdr rules before filter rules, mail last']
        : []),
      'service syslogd reload',
      ...syncSteps(answers, KEY),
    ],
  }
}

/** Variables of rc.conf(5); spamd must listen on an address of its own for IPv6, which the administrator adds. */
function rcVariables({ answers }: InitInput): [string, string][] {
  const flags = ['-v', '-l', '127.0.0.1', ...spamdFlags(answers)].join(' ')
  const daemon: [string, string][] = [
    ['pf_enable', 'YES'],
    ['pflog_enable', 'YES'],
    ['spamdctl_spamd_enable', 'YES'],
    ['spamdctl_spamd_flags', flags],
  ]
  if (answers.mode === 'blacklist') return daemon
  const [, , ...others] = spamlogdFlags(answers)
  return [
    ...daemon,
    ['spamdctl_spamlogd_enable', 'YES'],
    ['spamdctl_spamlogd_pflog_if', answers.log],
    ...(others.length > 0 ? [['spamdctl_spamlogd_flags', others.join(' ')] satisfies [string, string]] : []),
  ]
}

function pfRules({ answers, example }: InitInput): string {
  const text = example('freebsd/pf.conf')
  if (!/^ext_if = .*$/m.test(text)) throw new TypeError('freebsd/pf.conf has no ext_if')
  return text.replace(/^ext_if = .*$/m, () => `ext_if = "${answers.outside}"`)
}
