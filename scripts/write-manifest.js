/** Writes oclif's manifest of the built commands, so that starting one command does not load all. Run after tsc. */
import { rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Config } from '@oclif/core'

const root = resolve(import.meta.dirname, '..')
const manifestPath = join(root, 'oclif.manifest.json')
// oclif would use an old manifest instead of reading the commands.
rmSync(manifestPath, { force: true })
const config = await Config.load({ root })
const ours = config.plugins.get(config.pjson.name)
if (ours === undefined) throw new Error('oclif found no commands of ours')
writeFileSync(manifestPath, JSON.stringify(ours.manifest, null, 2))
