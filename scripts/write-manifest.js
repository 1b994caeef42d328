/** Writes oclif's manifest of the built commands, so that starting one does not load them all. Run after tsc. */
import { rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Config } from '@oclif/core'

const root = resolve(import.meta.dirname, '..')
const manifestPath = join(root, 'oclif.manifest.json')
// oclif believes an old manifest instead of looking at the commands.
rmSync(manifestPath, { force: true })
const config = await Config.load({ root })
const ours = config.plugins.get(config.pjson.name)
if (ours === undefined) throw new Error('oclif found no commands of ours')
writeFileSync(manifestPath, JSON.stringify(ours.manifest, null, 2))
