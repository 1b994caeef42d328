/** The bill of materials of the packages (CycloneDX, by `npm sbom`). */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * JSON text that names every production dependency in the lock file of `folder`. `npm sbom --omit=dev` leaves out
 * packages that a development dependency needs, too (seen with npm 11.19), so it is given a lock file without
 * development dependencies. `run(program, words, folder)` returns what the program printed.
 */
export function billOfMaterials(folder, run) {
  const work = mkdtempSync(join(tmpdir(), 'spamdctl-sbom-'))
  try {
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const lock = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'))
    delete manifest.devDependencies
    delete lock.packages[''].devDependencies
    for (const [path, { dev }] of Object.entries(lock.packages)) if (dev) delete lock.packages[path]
    writeFileSync(join(work, 'package.json'), JSON.stringify(manifest))
    writeFileSync(join(work, 'package-lock.json'), JSON.stringify(lock))
    return run('npm', ['sbom', '--sbom-format=cyclonedx', '--package-lock-only'], work)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
