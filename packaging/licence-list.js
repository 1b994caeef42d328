import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * debian/copyright (DEP-5) of the package: our licence and that of each bundled npm package, with the text that the
 * package contains. `folder` holds package.json and node_modules; `ownLicence` is the text of LICENSE.
 */
export function licenceList(folder, ownLicence) {
  const bundled = packagesBelow(join(folder, 'node_modules'), 'usr/lib/spamdctl/node_modules')
  const stanzas = bundled.map(({ path, name, version, licence, text, copyright }) =>
    [
      `Files: ${path}/*`,
      `Copyright: ${copyright}`,
      `License: ${licenceName(licence)}-of-${name.replaceAll(/[^A-Za-z0-9.-]/g, '-')}`,
      indent(licenceText(licence, text) ?? `As the package ${name} ${version} says: ${licence}`),
    ].join('\n'),
  )
  return `${[
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: spamdctl',
    `Files: *\nCopyright: 2026 the spamdctl authors\nLicense: ISC\n${indent(ownLicence)}`,
    ...stanzas,
  ].join('\n\n')}\n`
}

function packagesBelow(folder, path) {
  const found = []
  for (const name of existsSync(folder) ? readdirSync(folder).sort() : []) {
    if (name.startsWith('.')) continue
    const own = join(folder, name)
    if (name.startsWith('@')) {
      found.push(...packagesBelow(own, `${path}/${name}`))
      continue
    }
    if (!existsSync(join(own, 'package.json'))) continue
    found.push(
      describe(own, `${path}/${name}`),
      ...packagesBelow(join(own, 'node_modules'), `${path}/${name}/node_modules`),
    )
  }
  return found
}

function describe(folder, path) {
  const { name, version, license, author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const file = readdirSync(folder).find((entry) => /^(licen[cs]e|copying)(\.|$)/i.test(entry))
  const text = file === undefined ? undefined : readFileSync(join(folder, file), 'utf8')
  const line = text?.split(/\r?\n/).find((candidate) => /^\s*copyright\b.*\d{4}/i.test(candidate))
  const maker = typeof author === 'string' ? author : author?.name
  const copyright =
    line?.replace(/^\s*copyright:?\s*(\(c\)|©)?\s*/i, '').trim() || maker || `the authors of ${name}`
  const licence = typeof license === 'string' ? license : (license?.type ?? 'unknown')
  return { path, name, version, licence, text, copyright }
}

/** Debian provides the text of the common licences, to which a package must refer. */
function licenceText(licence, text) {
  return licence === 'Apache-2.0'
    ? 'Licensed under the Apache License, Version 2.0: /usr/share/common-licenses/Apache-2.0'
    : text
}

function licenceName(licence) {
  return licence.replaceAll(/[^A-Za-z0-9.+-]/g, '-')
}

/** The text of a DEP-5 field: each line indented by one blank, empty lines as a dot. */
function indent(text) {
  return text
    .trimEnd()
    .split(/\r?\n/)
    .map((line) => (line.trim() === '' ? ' .' : ` ${line.replace(/^\.$/, '..')}`))
    .join('\n')
}
