// Run by npm after it has installed the package: compiles our native modules, and better-sqlite3 again if the
// installed one is incompatible with this Node. If one of them fails, the installation does not: what is missing is
// reported.
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'

const here = import.meta.dirname
const root = resolve(here, '..')
const native = join(root, 'src/platform/native')
const say = (text) => process.stderr.write(`spamdctl: ${text}\n`)

// Run by a shell, since npm puts its own node-gyp into PATH, which on some systems is a script with another name.
const built = spawnSync(`node-gyp rebuild --silent --directory="${native}"`, {
  shell: true,
  stdio: 'inherit',
})
if (built.status !== 0) {
  say(
    'our native modules are not built: root cannot change users where Node refuses to, and nft is run every two seconds',
  )
}

if (!survivesCollection()) {
  say('compiling better-sqlite3 for this Node')
  const npm = process.env.npm_execpath === undefined ? ['npm'] : [process.execPath, process.env.npm_execpath]
  const [program, ...words] = [...npm, 'rebuild', '--foreground-scripts', 'better-sqlite3']
  const rebuilt = spawnSync(program, words, {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      npm_config_build_from_source: 'true',
      CXXFLAGS: `${process.env.CXXFLAGS ?? ''} -include ${join(native, 'object-wrap.h')}`.trim(),
    },
  })
  if (rebuilt.status !== 0 || !survivesCollection()) {
    say(`warning: better-sqlite3 ends the programs with Node ${process.version}: use another Node`)
  }
}

/** True if statements and databases can be collected as garbage between two events; tried in a separate process. */
function survivesCollection() {
  const probe = spawnSync(process.execPath, ['--expose-gc', join(here, 'collect-garbage.js')], {
    stdio: 'ignore',
    timeout: 60_000,
  })
  return probe.status === 0
}
