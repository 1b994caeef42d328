import { loadNativeModule } from './native-module.js'

interface NftGeneration {
  readGeneration(): number | undefined
}

let known: NftGeneration | undefined
let isLoaded = false

/**
 * The generation of the nftables ruleset, which goes up by one with each transaction of any program: some microseconds.
 * Undefined without CAP_NET_ADMIN, on other systems, or if the native module is not built.
 */
export function readNftGeneration(): number | undefined {
  if (!isLoaded) {
    isLoaded = true
    known = loadOrNone()
  }
  return known?.readGeneration()
}

/** A module that cannot be loaded (built for another system) counts as missing: callers have a slower way. */
function loadOrNone(): NftGeneration | undefined {
  try {
    return process.platform === 'linux'
      ? (loadNativeModule('nft_generation') as NftGeneration | undefined)
      : undefined
  } catch {
    return undefined
  }
}
