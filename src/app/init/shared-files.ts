/** Files that are alike on every system but for their folder. */
import { formatCatalogue, LIST_CATALOGUE } from '../lists/list-catalogue.js'
import type { InitAnswers, InitInput } from './init-types.js'
import type { PlannedFile, WantedLine } from './planned-file.js'

/** spamd.conf with the chosen lists, each followed by the list of those who are never blocked. */
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

/** A file that belongs to the administrator: made with a word of explanation when it is missing, else left alone. */
export function ownersFile(path: string, purpose: string, explanation: readonly string[]): PlannedFile {
  const text = explanation.map((line) => `# ${line}\n`).join('')
  return { path, purpose, mode: 0o644, content: { kind: 'lines', lines: [], ifMissing: text } }
}

/** Those whom no downloaded list may block. */
export function friendsFile(path: string): PlannedFile {
  return ownersFile(path, 'addresses that no block list may block', [
    'Addresses and networks that no block list may block, one per line.',
  ])
}

/**
 * Flags of spamd that the answers ask for. With a second gateway it listens on the address of its own that the other one
 * is reached from, and on all when that is not known.
 */
export function spamdFlags({ answers: { mode, peer }, ownAddress = '0.0.0.0' }: InitInput): string[] {
  return [
    ...(mode === 'blacklist' ? ['-b'] : []),
    ...(peer === undefined ? [] : ['-y', ownAddress, '-Y', peer, '--require-sync-key']),
  ]
}

/** Flags of spamlogd that the answers ask for; another gateway is told by spamd. */
export function spamlogdFlags({ log, mailServers }: InitAnswers): string[] {
  return [
    '-l',
    log,
    // Who named none has the mail server here.
    ...(mailServers.length === 0 ? ['self'] : mailServers).flatMap((network) => [
      '--outbound-source',
      network,
    ]),
  ]
}

/** A variable of a file that sh(1) reads; another value of the administrator counts as there. */
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
