/** The layers of docs/architecture.md: imports point down only, and each outside thing has one owner. */
const { readdirSync } = require('node:fs')
const { FOLDERS } = require('./scripts/folder-order.cjs')

const PURE = '^src/(ip|codec|domain)/'
const rule = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to })

/** A rule for each folder that has others above it; fails for a folder that stands in no order. */
function folderRules() {
  const layers = readdirSync('src', { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return layers.flatMap(({ name: layer }) => {
    const order = FOLDERS[layer] ?? []
    const inner = readdirSync(`src/${layer}`, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    const missing = inner.find(({ name }) => !order.includes(name))
    if (missing) throw new Error(`src/${layer}/${missing.name} has no place in FOLDERS`)
    return order
      .slice(1)
      .map((folder, index) =>
        rule(
          `${layer}-${folder}-points-down`,
          `${folder} does not use the folders that use it (FOLDERS)`,
          { path: `^src/${layer}/${folder}/` },
          { path: `^src/${layer}/(${order.slice(0, index + 1).join('|')})/` },
        ),
      )
  })
}

module.exports = {
  forbidden: [
    ...folderRules(),
    rule('no-cycles', 'a cycle hides which module owns what', {}, { circular: true }),
    rule(
      'src-not-commands',
      'nothing under src knows the command line',
      { path: '^src/' },
      { path: '^commands/' },
    ),
    rule('ip-is-bottom', 'ip imports only itself', { path: '^src/ip/' }, { path: '^src/(?!ip/)' }),
    rule('codec-on-ip', 'codec uses ip only', { path: '^src/codec/' }, { path: '^src/(?!ip/|codec/)' }),
    rule('domain-on-ip', 'domain uses ip only', { path: '^src/domain/' }, { path: '^src/(?!ip/|domain/)' }),
    rule(
      'pure-touches-nothing',
      'pure layers see no file, socket, clock or environment (crypto hashing is fine)',
      { path: PURE },
      { dependencyTypes: ['core'], pathNot: '^(node:)?(crypto|net)$' },
    ),
    rule(
      'pure-has-no-packages',
      'pure layers use no npm package',
      { path: PURE },
      { dependencyTypes: ['npm', 'npm-optional'] },
    ),
    rule(
      'platform-is-low',
      'platform uses pure layers only',
      { path: '^src/platform/' },
      { path: '^src/(db|firewall|feeds|app|daemon|cli)/' },
    ),
    rule(
      'programs-on-top',
      'only commands (and bin) start a whole program',
      { path: '^src/', pathNot: '^src/programs/' },
      { path: '^src/programs/' },
    ),
    rule(
      'programs-join',
      'a program joins its options and what it runs; what these open is theirs',
      { path: '^src/programs/' },
      { path: '^src/(db|firewall|feeds|app|codec|domain|ip)/' },
    ),
    rule(
      'outside-owners-apart',
      'db, firewall and feeds are joined in app and daemon',
      { path: '^src/(db|firewall|feeds)/' },
      { path: '^src/(db|firewall|feeds|app|daemon|cli)/', pathNot: '^src/$1/' },
    ),
    rule(
      'app-below-daemon',
      'a use case does not know the daemons',
      { path: '^src/app/' },
      { path: '^src/(daemon|cli)/' },
    ),
    rule(
      'daemon-not-cli',
      'the daemons never load the command line',
      { path: '^src/daemon/' },
      { path: '^src/cli/' },
    ),
    rule(
      'cli-on-app',
      'cli renders results of app',
      { path: '^src/cli/' },
      { path: '^src/(db|firewall|feeds|daemon)/' },
    ),
    rule(
      'commands-are-thin',
      'commands call programs, cli, app, daemon and settings',
      { path: '^commands/' },
      { path: '^src/(db|firewall|feeds)/' },
    ),
    rule(
      'sqlite-owner',
      'only src/db imports better-sqlite3',
      { path: '^(src|commands)/', pathNot: '^src/db/' },
      { path: 'better-sqlite3' },
    ),
    rule(
      'undici-owner',
      'only src/feeds imports undici',
      { path: '^(src|commands)/', pathNot: '^src/feeds/' },
      { path: 'node_modules/undici' },
    ),
    rule(
      'pg-owner',
      'only src/db/postgres/pg-driver.ts imports pg',
      { path: '^(src|commands)/', pathNot: '^src/db/postgres/pg-driver' },
      { path: 'node_modules/(@types/)?pg/' },
    ),
    rule(
      'pcap-owner',
      'only src/platform/live-capture.ts imports pcap',
      { path: '^(src|commands)/', pathNot: '^src/platform/live-capture' },
      { path: 'node_modules/pcap' },
    ),
    rule(
      'oclif-owner',
      'only commands and src/cli import oclif',
      { path: '^src/', pathNot: '^src/cli/' },
      { path: '@oclif' },
    ),
    rule(
      'child-process-owner',
      'only src/platform starts processes',
      { path: '^(src|commands)/', pathNot: '^src/platform/' },
      { path: '^(node:)?child_process$' },
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
  },
}
