/** A gateway on FreeBSD: pf with rdr, rc.d in /usr/local. */
import type { InitInput, InitPlan } from './init-types.js'
import { run } from './plan-openbsd.js'
import { PULL_VARIABLE, pullSetupOf, syncKeyCommands } from './pull-setup.js'
import {
  cronText,
  friendsFile,
  ownersFile,
  spamdConf,
  spamdFlags,
  spamlogdFlags,
  variableLine,
  wholeFile,
} from './shared-files.js'

const FOLDER = '/usr/local/etc/spamd'

/**
 * Files below /usr/local/etc and lines of rc.conf; pf.conf as a whole, because its translation rules come
 * before the others.
 */
export function freebsdPlan(input: InitInput, system: 'freebsd' | 'pfsense' = 'freebsd'): InitPlan {
  const { answers, example, isThere } = input
  const isGreylisting = answers.mode === 'greylist'
  const pulls = pullSetupOf(system, input)
  const daemons = isGreylisting ? ['spamdctl_spamd', 'spamdctl_spamlogd'] : ['spamdctl_spamd']
  return {
    files: [
      spamdConf(`${FOLDER}/spamd.conf`, `${FOLDER}/friends.txt`, input),
      friendsFile(`${FOLDER}/friends.txt`),
      ownersFile(
        `${FOLDER}/nospamd`,
        'senders that are never greylisted; pf refuses all rules without this file',
        ['Senders that are never greylisted, one address or network per line.'],
      ),
      wholeFile(
        '/etc/pf.conf',
        'rules that send unknown hosts to spamd and log mail that passes',
        0o600,
        pfRules(input),
      ),
      ...daemons.map((name) =>
        wholeFile(`/usr/local/etc/rc.d/${name}`, 'start and stop', 0o555, example(`freebsd/rc.d/${name}`)),
      ),
      wholeFile(
        '/usr/local/etc/syslog.d/spamdctl.conf',
        'a separate log',
        0o644,
        example('freebsd/syslog.d/spamdctl.conf'),
      ),
      wholeFile(
        '/usr/local/etc/newsyslog.conf.d/spamdctl.conf',
        'rotate the log',
        0o644,
        example('freebsd/newsyslog.conf.d/spamdctl.conf'),
      ),
      wholeFile(
        '/usr/local/etc/cron.d/spamdctl',
        answers.lists.length > 0
          ? 'fetch the block lists, and the networks of exceptions'
          : 'fetch the networks of exceptions',
        0o644,
        cronText(example('freebsd/crontab'), answers),
      ),
      {
        path: '/etc/rc.conf',
        purpose: 'the daemons and their flags',
        mode: 0o644,
        content: {
          kind: 'lines',
          ifMissing: '',
          lines: [
            ...rcVariables(input).map(([name, value]) => variableLine(name, value)),
            ...(answers.peer === undefined ? [] : [PULL_VARIABLE]),
          ],
        },
      },
      ...pulls.files,
    ],
    commands: [
      ...['_spamd', '_spamdfeed'].map((user) => ({
        ...run(
          ['pw', 'useradd', user, '-d', '/nonexistent', '-s', '/usr/sbin/nologin'],
          `create the user ${user}`,
        ),
        unless: ['pw', 'usershow', user] as const,
      })),
      run([`${input.programFolder}/spamdctl`, 'init-db'], 'create the database'),
      ...syncKeyCommands(system, input),
      ...pulls.commands,
      ...daemons.map((name) => run(['service', name, 'start'], `start ${name}`)),
      run(['pfctl', '-nf', '/etc/pf.conf'], 'check the rules'),
      run(['service', 'pf', 'reload'], 'send unknown hosts to spamd'),
    ],
    byHand: [
      ...(isThere('/etc/pf.conf')
        ? ['merge /etc/pf.conf.new into /etc/pf.conf: rdr rules before filter rules, mail last']
        : []),
      'service syslogd reload',
      ...pulls.byHand,
    ],
  }
}

/**
 * Variables of rc.conf(5); for IPv6 spamd must listen on an address of an interface, which the administrator
 * adds.
 */
function rcVariables(input: InitInput): [string, string][] {
  const { answers } = input
  const flags = ['-v', '-l', '127.0.0.1', ...spamdFlags(input)].join(' ')
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
