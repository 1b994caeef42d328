'use strict'
/**
 * Shows a help page that oclif laid out for 80 columns when the programs were bundled: the layout takes three times
 * as long as starting Node. Other calls, narrow terminals and changed settings are left to oclif.
 */
const { readFileSync, statSync } = require('node:fs')
const { version } = require('../package.json')

const COLUMNS = 80
/** Variables that change the layout or the colours of oclif. */
const OWN_SETTINGS = ['OCLIF_COLUMNS', 'FORCE_COLOR', 'DEBUG']

/** Prints the page that the words ask for, if possible; returns whether it did. */
exports.showHelp = (pagesPath, words) => {
  const name = pageOf(words)
  if (name === undefined || OWN_SETTINGS.some((setting) => process.env[setting] !== undefined)) return false
  if (statSync(pagesPath, { throwIfNoEntry: false }) === undefined) return false
  const { stdout } = process
  if (stdout.isTTY && stdout.columns < COLUMNS) return false
  const { agent, pages } = JSON.parse(readFileSync(pagesPath, 'utf8'))
  if (!Object.hasOwn(pages, name)) return false
  const text = pages[name][stdout.isTTY && stdout.hasColors() ? 'styled' : 'plain']
  const ownAgent = `spamdctl/${version} ${process.platform}-${process.arch} node-${process.version}`
  stdout.write(text.replaceAll(agent, ownAgent))
  return true
}

/** The words of the command whose help is requested, joined by blanks; undefined for any other request. */
function pageOf(words) {
  const names =
    words.length === 0
      ? []
      : words[0] === 'help'
        ? words.slice(1)
        : words.at(-1) === '--help'
          ? words.slice(0, -1)
          : undefined
  return names?.join(' ')
}
