/**
 * What a gateway needs so that it and another one can pull from each other (docs/failover.md): the ssh key
 * and settings, a user for the other one's pulls, and what starts a pull at boot, before the shared address
 * is taken over, and after a gap.
 */
import { dirname } from 'node:path'
import { shellWords } from '../../codec/shell-words.js'
import type { System } from './detect-system.js'
import type { InitCommand, InitInput } from './init-types.js'
import type { PlannedFile } from './planned-file.js'
import { ownersFile, variableLine, wholeFile } from './shared-files.js'

/** Files, commands in order, and steps that involve both gateways. */
export interface PullSetup {
  files: PlannedFile[]
  commands: InitCommand[]
  byHand: string[]
}

/** What is taken from a planner's input; `peer` is the other gateway's address. */
export interface PullInput extends Pick<InitInput, 'example' | 'isThere' | 'ownAddress' | 'programFolder'> {
  peer: string
}

/** Where each system keeps settings, the home of the user for pulls, and the key of the synchronisation. */
const PLACES: Readonly<Record<System, { settings: string; home: string; syncKey: string }>> = {
  debian: { settings: '/etc/spamd', home: '/var/lib/spamd-pull', syncKey: '/etc/spamd/spamd.key' },
  openbsd: { settings: '/etc/mail/spamd', home: '/var/db/spamd-pull', syncKey: '/etc/mail/spamd.key' },
  freebsd: {
    settings: '/usr/local/etc/spamd',
    home: '/var/db/spamd-pull',
    syncKey: '/usr/local/etc/spamd/spamd.key',
  },
  pfsense: {
    settings: '/usr/local/etc/spamd',
    home: '/var/db/spamd-pull',
    syncKey: '/usr/local/etc/spamd/spamd.key',
  },
}
const UNITS = ['spamd-pull.service', 'spamd-pull.path']

/** The set-up for the answers of init; empty without a second gateway. */
export function pullSetupOf(system: System, input: InitInput): PullSetup {
  const { peer } = input.answers
  return peer === undefined ? { files: [], commands: [], byHand: [] } : pullSetup(system, { ...input, peer })
}

/**
 * Creates the synchronisation key, unless it was copied, and gives it to the daemons, which must be able to
 * read it.
 */
export function syncKeyCommands(
  system: System,
  { answers, isThere, programFolder }: InitInput,
): InitCommand[] {
  const { syncKey } = PLACES[system]
  if (answers.peer === undefined) return []
  const owned: InitCommand = {
    argv: ['chown', '_spamd', syncKey],
    purpose: 'let the daemons read the synchronisation key',
    isNeeded: true,
  }
  if (isThere(syncKey)) return [owned]
  const argv = [`${programFolder}/spamdctl`, 'sync-key'] as const
  return [{ argv, purpose: 'create the synchronisation key', isNeeded: true }, owned]
}

/** The whole set-up of one gateway for pulls from `peer` and by `peer`. */
export function pullSetup(system: System, input: PullInput): PullSetup {
  const { settings, home } = PLACES[system]
  const key = `${settings}/pull/key`
  const starters = STARTERS[system](input, settings)
  return {
    files: [
      wholeFile(
        `${settings}/ssh_config`,
        'ssh configuration for pulls',
        0o644,
        input.example('spamd-ssh_config').replaceAll('/etc/spamd', settings),
      ),
      // Owned by root, so that only root decides what the key of another gateway may do.
      ownersFile(`${home}/.ssh/authorized_keys`, 'keys of the gateways that may pull from here', [
        'Keys of the gateways that may pull from here: restrict,command="spamdctl serve-pull" ssh-ed25519 ...',
      ]),
      ...starters.files,
    ],
    commands: [
      {
        argv: addUser(system, home),
        unless: system === 'openbsd' ? ['id', '_spamdpull'] : hasUser(system),
        purpose: 'create the user for pulls, who may read the database by its group',
        isNeeded: false,
      },
      step(['install', '-d', '-m', '0755', `${settings}/pull`], 'create the folder for the ssh key'),
      {
        ...step(
          ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'spamdctl pull', '-f', key],
          'create the ssh key',
        ),
        unless: ['test', '-e', key],
      },
      step(['chown', '_spamd', key], 'let the daemons read the ssh key'),
      ...starters.commands,
    ],
    byHand: [...exchange(system, input), ...starters.byHand],
  }
}

/**
 * Steps that involve both gateways, as commands typed on this one by someone who may log in to the other one.
 */
function exchange(system: System, { peer, ownAddress = 'ADDRESS', programFolder }: PullInput): string[] {
  const { settings, home, syncKey } = PLACES[system]
  const forced = `restrict,command="${programFolder}/spamdctl serve-pull"`
  const hostKey = '/etc/ssh/ssh_host_ed25519_key.pub'
  return [
    `ssh root@${peer} mkdir -p ${dirname(syncKey)} && scp -p ${syncKey} root@${peer}:${syncKey}    # compare on both: spamdctl sync-key --show`,
    `ssh root@${peer} ${programFolder}/spamdctl init --peer ${ownAddress} ...    # if not done yet`,
    `ssh-keyscan -t ed25519 ${peer} >${settings}/pull/known_hosts`,
    `ssh-keygen -lf ${settings}/pull/known_hosts    # must be what "ssh-keygen -lf ${hostKey}" prints on ${peer}`,
    `sed 's|^|${forced} |' ${settings}/pull/key.pub | ssh root@${peer} 'cat >>${home}/.ssh/authorized_keys'`,
    `${tryPull(system, settings)}    # prints "changes read" once both gateways are set up`,
  ]
}

function tryPull(system: System, settings: string): string {
  if (system === 'debian')
    return 'systemctl restart spamd-pull.service; journalctl -n 3 -u spamd-pull.service'
  return system === 'openbsd'
    ? `su -s /bin/sh _spamd -c ${settings}/pull-peers`
    : `su -m _spamd -c 'sh ${settings}/pull-peers'`
}

/** Its password matches nothing, which is not the same as locked: sshd without PAM turns locked users away. */
function addUser(system: System, home: string): readonly [string, ...string[]] {
  switch (system) {
    case 'debian':
      return [
        ...(['useradd', '--system', '--no-create-home', '--home-dir', home] as const),
        ...['--shell', '/bin/sh', '--gid', '_spamd', '--password', '*', '_spamdpull'],
      ]
    case 'openbsd':
      return ['useradd', '-d', home, '-s', '/bin/sh', '-g', '_spamd', '-p', '*************', '_spamdpull']
    case 'freebsd':
    case 'pfsense':
      return ['pw', 'useradd', '_spamdpull', '-d', home, '-s', '/bin/sh', '-g', '_spamd', '-w', 'no']
  }
}

function hasUser(system: System): readonly [string, ...string[]] {
  return system === 'debian' ? ['getent', 'passwd', '_spamdpull'] : ['pw', 'usershow', '_spamdpull']
}

const STARTERS: Readonly<Record<System, (input: PullInput, settings: string) => PullSetup>> = {
  debian: systemdStarters,
  openbsd: openbsdStarters,
  freebsd: freebsdStarters,
  pfsense: pfsenseStarters,
}

function systemdStarters({ peer, example, isThere, programFolder }: PullInput): PullSetup {
  const isPackaged = isThere('/usr/lib/systemd/system/spamd-pull.service')
  return {
    files: [
      {
        path: '/etc/default/spamd-pull',
        purpose: 'gateway from which spamd-pull.service fetches changes',
        mode: 0o644,
        content: { kind: 'lines', ifMissing: '', lines: [variableLine('PEERS', peer)] },
      },
      ...(isPackaged ? [] : UNITS).map((name) =>
        wholeFile(
          `/etc/systemd/system/${name}`,
          'pulls at boot, before the shared address is taken, and after a gap',
          0o644,
          example(`systemd/${name}`).replaceAll('/usr/bin/spam', `${programFolder}/spam`),
        ),
      ),
    ],
    commands: [
      step(['systemctl', 'daemon-reload'], 'read the units'),
      step(['systemctl', 'enable', 'spamd-pull.service'], 'pull at boot, before the shared address is taken'),
      step(['systemctl', 'enable', '--now', 'spamd-pull.path'], 'pull when spamd has missed something'),
    ],
    byHand: [],
  }
}

/** rc(8) runs rc.local while it holds CARP back by "carpdemote 128". */
function openbsdStarters(input: PullInput, settings: string): PullSetup {
  const script = `${settings}/pull-peers`
  const boot = `su -s /bin/sh _spamd -c ${script}`
  const cron = `*/5\t*\t*\t*\t*\t_spamd\t${script} gap`
  return {
    files: [
      pullScript(input, settings),
      addedLine('/etc/rc.local', 0o644, 'pull at boot: rc(8) holds CARP back until this has ended', boot),
      addedLine('/etc/crontab', 0o600, 'pull when spamd has missed something', cron),
    ],
    commands: [],
    byHand: [],
  }
}

function freebsdStarters(input: PullInput, settings: string): PullSetup {
  return {
    files: [
      pullScript(input, settings),
      ...['spamdctl_hold', 'spamdctl_pull'].map((name) =>
        wholeFile(
          `/usr/local/etc/rc.d/${name}`,
          'pull at boot, before the shared address is taken',
          0o555,
          input.example(`freebsd/rc.d/${name}`),
        ),
      ),
      wholeFile(
        '/usr/local/etc/cron.d/spamdctl-pull',
        'pull when spamd has missed something',
        0o644,
        `# Written by "spamdctl init".\n*/5\t*\t*\t*\t*\t_spamd\t/bin/sh ${settings}/pull-peers gap\n`,
      ),
    ],
    commands: [],
    byHand: [],
  }
}

/** The variable of rc.conf(5) that switches both scripts of FreeBSD on. */
export const PULL_VARIABLE = variableLine('spamdctl_pull_enable', 'YES')

/** pfSense's own pages manage what is run at boot and by cron. */
function pfsenseStarters(input: PullInput, settings: string): PullSetup {
  const pull = `su -m _spamd -c 'sh ${settings}/pull-peers'`
  return {
    files: [pullScript(input, settings)],
    commands: [],
    byHand: [
      'package Shellcmd, an entry of type earlyshellcmd: sysctl net.inet.carp.demotion=240',
      `package Shellcmd, an entry of type shellcmd: ${pull}; sysctl net.inet.carp.demotion=-240`,
      `package Cron, every 5 minutes as _spamd: /bin/sh ${settings}/pull-peers gap`,
    ],
  }
}

function pullScript({ example, peer }: PullInput, settings: string): PlannedFile {
  const text = example('spamd-pull-peers')
    .replaceAll('/etc/spamd', settings)
    .replace(/^peers=$/m, `peers=${shellWords([peer])}`)
  return wholeFile(`${settings}/pull-peers`, 'pulls from the other gateway', 0o755, text)
}

function addedLine(path: string, mode: number, purpose: string, text: string): PlannedFile {
  return {
    path,
    purpose,
    mode,
    content: { kind: 'lines', ifMissing: '', lines: [{ text, isThere: (line) => line === text }] },
  }
}

function step(argv: readonly [string, ...string[]], purpose: string): InitCommand {
  return { argv, purpose, isNeeded: false }
}
