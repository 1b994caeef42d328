import { runSetupProgram } from '../cli/setup/setup-main.js'
import { systemSetupParts } from '../cli/setup/setup-parts.js'
import type { Program } from './program.js'

/** `spamd-setup`: one run over the block lists. As root with -b, a process of its own keeps the packet filter. */
export const program: Program = (argv, showHelp) =>
  runSetupProgram(
    argv,
    systemSetupParts(showHelp, async (settings) => {
      const { startSetupFirewall } = await import('../daemon/process/setup-firewall.js')
      return startSetupFirewall(settings)
    }),
  )
