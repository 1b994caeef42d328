/** Files that are the same on every system except for their folder. */
import { formatCatalogue, LIST_CATALOGUE } from '../lists/list-catalogue.js'
import type { InitAnswers, InitInput } from './init-types.js'
import type { PlannedFile, WantedLine } from './planned-file.js'

/** spamd.conf with the chosen lists, each followed by the list of hosts that are never blocked. */
export function spamdConf(
  path: string,
  friendsPath: string,
  { answers: { lists }, example }: InitInput,
): PlannedFile {
  const entries = LIST_CATALOGUE.filter(({ name }) => lists.includes(name))
  const names = lists.flatMap((name) => [name, 'friends'])
  const all =
    names.length === 0 ? ['all:', ''] : ['all:\\', names.map((name) => `\t:${name}:`).join('\\\n'), '']
  const text = [
    '# spamd.conf(5), written by "spamdctl init". Check it with: spamd-setup --check',
    '# More lists: spamdctl lists catalogue',
    '',
    ...all,
    formatCatalogue(entries),
    '# Hosts that must never be blocked.',
    'friends:\\',
    '\t:white:\\',
    '\t:method=file:\\',
    `\t:file=${friendsPath}:`,
    '',
  ].join('\n')
  return {
    path,
    purpose: 'the block lists that spamd-setup fetches',
    mode: 0o644,
    content: { kind: 'whole', text },
    shipped: example('spamd.conf'),
  }
}

/**
 * A file that belongs to the administrator: created with an explanation when it is missing, else left
 * unchanged.
 */
export function ownersFile(path: string, purpose: string, explanation: readonly string[]): PlannedFile {
  const text = explanation.map((line) => `# ${line}\n`).join('')
  return { path, purpose, mode: 0o644, content: { kind: 'lines', lines: [], ifMissing: text } }
}

/** Hosts that no downloaded list may block. */
export function friendsFile(path: string): PlannedFile {
  return ownersFile(path, 'addresses that no block list may block', [
    'Addresses and networks that no block list may block, one per line.',
  ])
}

/**
 * Flags of spamd for the answers. With a second gateway it listens on its own address from which the other
 * one is reached, and on all when that is unknown. Without --require-sync-key: a key that was lost must not
 * stop mail, and doctor reports it.
 */
export function spamdFlags({ answers: { mode, peer }, ownAddress = '0.0.0.0' }: InitInput): string[] {
  return [
    ...(mode === 'blacklist' ? ['-b'] : []),
    ...(peer === undefined ? [] : ['-y', ownAddress, '-Y', peer]),
  ]
}

/** Flags of spamlogd for the answers; spamd sends changes to the other gateway. */
export function spamlogdFlags({ log, mailServers }: InitAnswers): string[] {
  return [
    '-l',
    log,
    // If none is named, the mail server is on this host.
    ...(mailServers.length === 0 ? ['self'] : mailServers).flatMap((network) => [
      '--outbound-source',
      network,
    ]),
  ]
}

/** A variable in a file read by sh(1); another value set by the administrator is kept. */
export function variableLine(name: string, value: string): WantedLine {
  return { text: `${name}="${value}"`, isThere: (line) => line.trimStart().startsWith(`${name}=`) }
}

/** The lines of a text that are no comments and not empty. */
export function workingLines(text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#'))
}

/** A file that is written whole. */
export function wholeFile(path: string, purpose: string, mode: number, text: string): PlannedFile {
  return { path, purpose, mode, content: { kind: 'whole', text } }
}

/** The text of a crontab; of a gateway without block lists without the run of spamd-setup. */
export function cronText(text: string, { lists }: Pick<InitAnswers, 'lists'>): string {
  return lists.length > 0 ? text : text.replace(/^[^#\n].*spamd-setup -b\n/m, '')
}
