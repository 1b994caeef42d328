import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'

const PROGRAMS = ['spamdctl', 'spamdb', 'spamlogd', 'spamd-setup', 'spamd']
const NATIVE = [
  'node_modules/better-sqlite3/build/Release/better_sqlite3.node',
  'node_modules/pcap/build/Release/pcap_binding.node',
]
// Without user_ids.node: BSDs have no io_uring, so Node can change users itself.
/** The files that do-install copies into lib/spamdctl. */
const COPIED = ['bin', 'dist', 'docs/examples', 'node_modules', 'package.json', 'oclif.manifest.json']
/** The files that packaging/remove-build-files removes again. */
const REMOVED = /^node_modules\/(better-sqlite3\/(deps|src)|nan)\//

/** The file lists of both ports, for the prepared tree that becomes their archive. */
export function portFiles(tree) {
  const library = [...COPIED.flatMap((path) => filesBelow(tree, path)), ...NATIVE]
    .filter((path) => !REMOVED.test(path))
    .map((path) => `lib/spamdctl/${path}`)
  const programs = PROGRAMS.map((name) => `bin/${name}`)
  const pages = filesBelow(tree, 'docs/man').map((path) => path.slice('docs/man/'.length))
  const documents = ['LICENCES', 'sbom.cdx.json']
  const examplesOf = (system) =>
    filesBelow(tree, `docs/examples/${system}`).map((path) => path.slice(`docs/examples/${system}/`.length))
  const openbsd = [
    ...[...programs, ...library].map((path) => (path.endsWith('.node') ? `@so ${path}` : path)),
    ...pages.map((page) => `@man man/man${page.at(-1)}/${page}`),
    ...documents.map((name) => `share/doc/spamdctl/${name}`),
    ...examplesOf('openbsd').map((name) => `share/examples/spamdctl/${name}`),
  ]
  const freebsd = [
    ...programs,
    ...library,
    ...pages.map((page) => `share/man/man${page.at(-1)}/${page}.gz`),
    ...documents.map((name) => `%%DOCSDIR%%/${name}`),
    ...examplesOf('freebsd').map((name) => `%%EXAMPLESDIR%%/${name}`),
    ...examplesOf('pfsense').map((name) => `%%EXAMPLESDIR%%/pfsense/${name}`),
    '@sample etc/newsyslog.conf.d/spamdctl.conf.sample',
    '@sample etc/syslog.d/spamdctl.conf.sample',
  ]
  return { openbsd: byPath(openbsd), freebsd: byPath(freebsd) }
}

function filesBelow(tree, path) {
  const entries = readdirSync(join(tree, path, '..'), { withFileTypes: true })
  const own = entries.find((entry) => join(path, '..', entry.name) === path)
  if (own?.isDirectory() !== true) return [path]
  return readdirSync(join(tree, path), { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(tree, join(entry.parentPath, entry.name)))
}

function byPath(lines) {
  const pathOf = (line) => line.replace(/^@\S+ /, '')
  return lines.sort((a, b) => (pathOf(a) < pathOf(b) ? -1 : 1))
}
