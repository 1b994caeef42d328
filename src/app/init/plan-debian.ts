/** A gateway on Debian or its like: nftables and systemd. */
import type { InitCommand, InitInput, InitPlan } from './init-types.js'
import type { PlannedFile } from './planned-file.js'
import { pullSetupOf, syncKeyCommands } from './pull-setup.js'
import {
  friendsFile,
  ownersFile,
  spamdConf,
  spamdFlags,
  spamlogdFlags,
  variableLine,
} from './shared-files.js'

const EXCEPTIONS = '/etc/spamd/nospamd.nft'
const UNITS = [
  'spamd.service',
  'spamlogd.service',
  'spamd-setup.service',
  'spamd-setup.timer',
  'spamd-allow.service',
  'spamd-allow.timer',
  'spamd-rules.service',
]

/** spamd.conf, nftables rules loaded by a separate unit, unit drop-ins; then the daemons, the rules last. */
export function debianPlan(input: InitInput): InitPlan {
  const { answers, isThere } = input
  const isGreylisting = answers.mode === 'greylist'
  const daemons = isGreylisting ? ['spamd.service', 'spamlogd.service'] : ['spamd.service']
  const hasLists = answers.lists.length > 0
  const pulls = pullSetupOf('debian', input)
  const commands: InitCommand[] = [
    ...(isThere('/usr/lib/sysusers.d/spamdctl.conf')
      ? [command(['systemd-sysusers', '/usr/lib/sysusers.d/spamdctl.conf'], 'create the users', true)]
      : ['_spamd', '_spamdfeed'].map(
          (user): InitCommand => ({
            ...command(
              ['useradd', '--system', '--home-dir', '/nonexistent', '--shell', '/usr/sbin/nologin', user],
              `create the user ${user}`,
              true,
            ),
            unless: ['getent', 'passwd', user],
          }),
        )),
    command(
      ['install', '-d', '-m', '0750', '-o', '_spamd', '-g', '_spamd', '/var/lib/spamd'],
      'create the folder of the database',
      true,
    ),
    command([`${input.programFolder}/spamdctl`, 'init-db'], 'create the database', true),
    ...syncKeyCommands('debian', input),
    command(['nft', '-c', '-f', '/etc/spamd/nftables.conf'], 'check the rules', true),
    command(['systemctl', 'daemon-reload'], 'read the units', true),
    command(['systemctl', 'enable', '--now', ...daemons], 'start the daemons, now and at boot', true),
    ...(hasLists
      ? [
          command(
            ['systemctl', 'enable', '--now', 'spamd-setup.timer'],
            'fetch the block lists every hour',
            false,
          ),
          command(
            ['systemctl', 'start', '--no-block', 'spamd-setup.service'],
            'fetch the block lists now',
            false,
          ),
        ]
      : []),
    ...pulls.commands,
    command(
      ['systemctl', 'enable', '--now', 'spamd-allow.timer'],
      'look up the networks of exceptions in DNS twice a day',
      false,
    ),
    // Last: until here mail takes its previous path. The unit loads the rules when the sets are filled.
    command(['systemctl', 'enable', 'spamd-rules.service'], 'load the rules at boot, after spamd', true),
    command(['systemctl', 'restart', 'spamd-rules.service'], 'send unknown hosts to spamd', true),
  ]
  return {
    files: [
      spamdConf('/etc/spamd/spamd.conf', '/etc/spamd/friends.txt', input),
      friendsFile('/etc/spamd/friends.txt'),
      {
        path: '/etc/default/spamd',
        purpose: 'settings of all programs: services(5) of Debian has a different port',
        mode: 0o644,
        content: { kind: 'lines', ifMissing: '', lines: [variableLine('SPAMD_PORT', '8025')] },
      },
      nftRules(input),
      ownersFile(EXCEPTIONS, 'senders that are never greylisted', [
        'Senders that are never greylisted and from which nothing is learned, such as large ones with many addresses:',
        'add element inet spamd nospamd { 192.0.2.0/24 }',
        'add element inet spamd nospamd6 { 2001:db8::/48 }',
      ]),
      ...units(input),
      dropIn(input, 'spamd.service', spamdFlags(input)),
      ...(isGreylisting
        ? [dropIn(input, 'spamlogd.service', spamlogdFlags(answers), /\s(?:-l|--outbound-source) \S+/g)]
        : []),
      ...pulls.files,
    ],
    commands,
    byHand: pulls.byHand,
  }
}

function command(argv: readonly [string, ...string[]], purpose: string, isNeeded: boolean): InitCommand {
  return { argv, purpose, isNeeded }
}

function nftRules({ answers, example }: InitInput): PlannedFile {
  const text = replaceOnce(
    example('nftables.conf'),
    /^define outside = .*$/m,
    `define outside = "${answers.outside}"`,
  )
  return {
    path: '/etc/spamd/nftables.conf',
    purpose: 'rules that send unknown hosts to spamd and log mail that passes',
    mode: 0o644,
    content: {
      kind: 'whole',
      // Without greylisting, only hosts on a list go to spamd.
      text: `${answers.mode === 'blacklist' ? withoutGreylisting(text) : text}\ninclude "${EXCEPTIONS}"\n`,
    },
  }
}

function withoutGreylisting(text: string): string {
  return replaceOnce(text, /^\t\ttcp dport 25 redirect to :8025\n/m, '')
}

/** The units as shipped, where no package has installed them. */
function units({ example, isThere, programFolder }: InitInput): PlannedFile[] {
  if (isThere('/usr/lib/systemd/system/spamd.service')) return []
  return UNITS.map((name) => ({
    path: `/etc/systemd/system/${name}`,
    purpose: 'a systemd unit',
    mode: 0o644,
    content: {
      kind: 'whole',
      text: example(`systemd/${name}`).replaceAll('/usr/bin/spam', `${programFolder}/spam`),
    },
  }))
}

/**
 * Flags in a drop-in: those of the unit plus those of the answers; `replaced` is removed from the unit's own.
 */
function dropIn(
  { example, programFolder }: InitInput,
  unit: string,
  flags: readonly string[],
  replaced?: RegExp,
): PlannedFile {
  const start = /^ExecStart=(.*)$/m.exec(example(`systemd/${unit}`))
  if (start === null) throw new TypeError(`${unit} has no ExecStart`)
  const own = start[1]!.replace('/usr/bin/spam', `${programFolder}/spam`)
  const line = [replaced === undefined ? own : own.replaceAll(replaced, ''), ...flags].join(' ')
  return {
    path: `/etc/systemd/system/${unit}.d/init.conf`,
    purpose: `flags of ${unit}`,
    mode: 0o644,
    content: {
      kind: 'whole',
      text: `# Written by "spamdctl init".\n[Service]\nEnvironmentFile=-/etc/default/spamd\nExecStart=\nExecStart=${line}\n`,
    },
  }
}

/** Throws when a shipped example no longer contains what must be set in it. */
function replaceOnce(text: string, pattern: RegExp, replacement: string): string {
  if (!pattern.test(text)) throw new TypeError(`the example lacks ${pattern}`)
  return text.replace(pattern, () => replacement)
}
