/** Debian's Chromium, unpacked by scripts/setup-lab.sh, or an installed one. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium } from 'playwright-core'

const UNPACKED = fileURLToPath(new URL('../../.lab/chromium', import.meta.url))
const program = [join(UNPACKED, 'usr/lib/chromium/chromium'), '/usr/lib/chromium/chromium'].find(existsSync)

/** Reason to skip tests that need it, for their names; empty if it is available. */
export const NO_CHROMIUM =
  program === undefined ? ' (skipped: no Chromium; sh scripts/setup-lab.sh all fetches it on Debian)' : ''

/** Starts it without a window. */
export async function startChromium(): Promise<Browser> {
  const libraries = ['x86_64-linux-gnu', 'aarch64-linux-gnu', '.'].flatMap((system) =>
    ['.', 'pulseaudio'].map((folder) => join(UNPACKED, 'usr/lib', system, folder)),
  )
  return await chromium.launch({
    executablePath: program!,
    // Its own sandbox needs an installed helper; here it only opens our own file.
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    env: {
      ...process.env,
      LD_LIBRARY_PATH: [...libraries, process.env.LD_LIBRARY_PATH ?? ''].join(delimiter),
      FONTCONFIG_PATH: existsSync('/etc/fonts') ? '/etc/fonts' : join(UNPACKED, 'etc/fonts'),
    },
  })
}
