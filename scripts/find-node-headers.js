// Prints the folder for node-gyp's `nodedir`: where Node is installed, if the headers there are of exactly this
// version; otherwise nothing. Used by scripts/setup.sh, so it needs nothing but Node itself.
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const prefix = dirname(dirname(process.execPath))
if (headersVersion(join(prefix, 'include/node/node_version.h')) === process.versions.node) console.log(prefix)

function headersVersion(path) {
  let text
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
  const parts = ['MAJOR', 'MINOR', 'PATCH'].map((part) =>
    new RegExp(`#define NODE_${part}_VERSION (\\d+)`).exec(text),
  )
  return parts.map((match) => match?.[1]).join('.')
}
