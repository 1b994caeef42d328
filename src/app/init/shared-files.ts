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
    '# Those who must never be blocked.',
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
    'Addresses and networks that no block list may block, one a line.',
  ])
}

/** Flags of spamd that the answers ask for. */
export function spamdFlags({ mode, peer }: InitAnswers): string[] {
  return [...(mode === 'blacklist' ? ['-b'] : []), ...(peer === undefined ? [] : ['-Y', peer])]
}

/** Flags of spamlogd that the answers ask for. */
export function spamlogdFlags({ log, mailServers, peer }: InitAnswers): string[] {
  return [
    '-l',
    log,
    // Who named none has the mail server here.
    ...(mailServers.length === 0 ? ['self'] : mailServers).flatMap((network) => [
      '--outbound-source',
      network,
    ]),
    ...(peer === undefined ? [] : ['-Y', peer]),
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

/** What is said and done when gateways tell one another what they learn. */
export function syncSteps({ peer }: InitAnswers, key: string): string[] {
  if (peer === undefined) return []
  return [`copy ${key} to ${peer}, and run spamdctl init there with --peer and the address of this gateway`]
}
