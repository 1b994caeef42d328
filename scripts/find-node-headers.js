// Prints the folder that node-gyp takes as `nodedir`: the one Node is installed in, when the headers there are of this
// very version; else nothing. For scripts/setup.sh, so nothing but Node itself is needed.
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
