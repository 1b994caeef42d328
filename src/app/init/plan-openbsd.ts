/** A gateway on OpenBSD: pf with divert-to, rc.d. */
import type { InitCommand, InitInput, InitPlan } from './init-types.js'
import type { PlannedFile } from './planned-file.js'
import { pullSetupOf, syncKeyCommands } from './pull-setup.js'
import {
  cronText,
  friendsFile,
  ownersFile,
  spamdConf,
  spamdFlags,
  spamlogdFlags,
  wholeFile,
  workingLines,
} from './shared-files.js'

const RULES = '/etc/mail/pf.spamd.conf'

/** Files of /etc/mail, the log device, rc.d scripts; rules that are included at the end of pf.conf. */
export function openbsdPlan(input: InitInput): InitPlan {
  const { answers, example } = input
  const isGreylisting = answers.mode === 'greylist'
  const daemons = isGreylisting ? ['spamdctl_spamd', 'spamdctl_spamlogd'] : ['spamdctl_spamd']
  const pulls = pullSetupOf('openbsd', input)
  const spamdWords = ['-v', '-l', '127.0.0.1', '-l', '::1', ...spamdFlags(input)].join(' ')
  return {
    files: [
      spamdConf('/etc/mail/spamd.conf', '/etc/mail/friends.txt', input),
      friendsFile('/etc/mail/friends.txt'),
      ownersFile(
        '/etc/mail/nospamd',
        'senders that are never greylisted; pf refuses all rules without this file',
        ['Senders that are never greylisted, one address or network per line.'],
      ),
      {
        path: RULES,
        purpose: 'rules that send unknown hosts to spamd and log mail that passes',
        mode: 0o600,
        content: { kind: 'whole', text: mailRules(input) },
      },
      {
        path: '/etc/pf.conf',
        purpose: 'include these rules last: the last matching rule decides',
        mode: 0o600,
        content: {
          kind: 'lines',
          ifMissing: '',
          lines: [{ text: `include "${RULES}"`, isThere: (line) => line.trim() === `include "${RULES}"` }],
        },
      },
      ...(isGreylisting
        ? [
            wholeFile(
              `/etc/hostname.${answers.log}`,
              'the log device',
              0o640,
              example('openbsd/hostname.pflog1'),
            ),
          ]
        : []),
      ...daemons.map((name) =>
        wholeFile(`/etc/rc.d/${name}`, 'start and stop', 0o555, example(`openbsd/rc.d/${name}`)),
      ),
      lines('/etc/newsyslog.conf', 'rotate the log', workingLines(example('openbsd/newsyslog.conf'))),
      ...pulls.files,
    ],
    commands: [
      // _spamd is of the base system.
      {
        ...run(
          ['useradd', '-d', '/var/empty', '-s', '/sbin/nologin', '_spamdfeed'],
          'create the user that fetches block lists',
        ),
        unless: ['id', '_spamdfeed'],
      },
      ...(isGreylisting ? [run(['sh', '/etc/netstart', answers.log], 'create the log device')] : []),
      run([`${input.programFolder}/spamdctl`, 'init-db'], 'create the database'),
      ...syncKeyCommands('openbsd', input),
      ...pulls.commands,
      {
        ...run(['rcctl', 'disable', 'spamd', 'spamlogd'], 'disable the daemons of the base system'),
        isNeeded: false,
      },
      run(['rcctl', 'set', 'spamdctl_spamd', 'flags', spamdWords], 'set the flags of spamd'),
      ...(isGreylisting
        ? [
            run(
              ['rcctl', 'set', 'spamdctl_spamlogd', 'flags', spamlogdFlags(answers).join(' ')],
              'set the flags of spamlogd',
            ),
          ]
        : []),
      run(['rcctl', 'enable', ...daemons], 'start them at boot'),
      run(['rcctl', 'start', ...daemons], 'start them now'),
      run(['pfctl', '-nf', '/etc/pf.conf'], 'check the rules'),
      run(['pfctl', '-f', '/etc/pf.conf'], 'send unknown hosts to spamd'),
    ],
    byHand: [
      ...workingLines(cronText(example('openbsd/crontab'), answers)).map(
        (line) => `crontab -e, and add: ${line.replaceAll('\t', ' ')}`,
      ),
      'add the lines of docs/examples/openbsd/syslog.conf above the others in /etc/syslog.conf',
      ...pulls.byHand,
    ],
  }
}

/** The tables and the part of the example below "Mail comes LAST", for the answered interface. */
function mailRules({ answers, example }: InitInput): string {
  const name = answers.mode === 'blacklist' ? 'openbsd/pf.conf.block-lists' : 'openbsd/pf.conf.divert-to'
  const text = example(name)
  const tables = text.split('\n').filter((line) => line.startsWith('table '))
  const mail = text.slice(text.indexOf('# Mail comes LAST'))
  if (tables.length === 0 || !mail.startsWith('# Mail'))
    throw new TypeError(`${name} lacks its tables or mail rules`)
  const rules = mail
    .replaceAll('on egress', `on ${answers.outside}`)
    .replaceAll('(egress)', `(${answers.outside})`)
  return `# Written by "spamdctl init".\n${tables.join('\n')}\n\n${rules.replaceAll('pflog1', answers.log)}`
}

/** Lines to add to a file unless it already contains them literally. */
function lines(path: string, purpose: string, wanted: readonly string[]): PlannedFile {
  return {
    path,
    purpose,
    mode: 0o644,
    content: {
      kind: 'lines',
      ifMissing: '',
      lines: wanted.map((text) => ({ text, isThere: (line: string) => line === text })),
    },
  }
}

/** A command by its argument vector; one that may fail is given `isNeeded: false` beside it. */
export function run(argv: readonly [string, ...string[]], purpose: string): InitCommand {
  return { argv, purpose, isNeeded: true }
}
