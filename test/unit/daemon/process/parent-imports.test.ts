/** The privileged process must not even load what reads strangers' bytes or the database. */
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const SOURCE = fileURLToPath(new URL('../../../../src', import.meta.url))

/** Modules of ours that loading `path` loads: value imports, not types, not `import()`. */
function loadedModules(path: string, found = new Set<string>()): Set<string> {
  if (found.has(path)) return found
  found.add(path)
  const text = readFileSync(path, 'utf8')
  for (const match of text.matchAll(
    /^(?:import|export) (?!type )[^;']*? from '(\.[^']+)'|^import '(\.[^']+)'/gms,
  )) {
    const target = match[1] ?? match[2]!
    // An import of nothing but types leaves no trace in the program.
    const names = /^(?:import|export) \{([^}]*)\} from/s
      .exec(match[0])?.[1]
      ?.split(',')
      .filter((name) => name.trim() !== '')
    if (names?.every((name) => name.trim().startsWith('type ')) === true) continue
    loadedModules(join(dirname(path), target.replace(/\.js$/, '.ts')), found)
  }
  return found
}

test('the parent loads sockets, files, programs and the packet filter, and nothing else', () => {
  const loaded = [...loadedModules(join(SOURCE, 'daemon/run-spamd.ts'))].map((path) => relative(SOURCE, path))
  expect(loaded).toContain('firewall/pf.ts')
  expect(loaded).toContain('daemon/process/privileged-parent.ts')
  const allowed =
    /^(firewall|ip|platform)\/|^codec\/escape\.ts$|^daemon\/(daemon-signal|run-spamd)\.ts$|^daemon\/process\/(check-privileges|child-launch|daemon-folder|listen-on-path|message-frames|open-spamd-log|own-resources|privileged-parent|privileged-protocol|socket-channel|spamd-parent-main|start-warnings)\.ts$/
  expect(loaded.filter((path) => !allowed.test(path))).toEqual([])
  expect(loaded.filter((path) => /pcap|live-capture/.test(path))).toEqual([])
})
