/**
 * Only the list code, as a whole process, for bench/lists.ts: `node bench/collapse-process.js BLACK WHITE OUTPUT`
 * writes the addresses of BLACK that are not in WHITE as CIDR blocks. Needs the build.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { createListParser } from '../dist/src/codec/lists/list-lines.js'
import { cidrChunks } from '../dist/src/ip/cidr-text.js'
import { subtractSet } from '../dist/src/ip/ip-range-set.js'

const CHUNK_BYTES = 1024 * 1024

function readList(path) {
  const parser = createListParser()
  const chunk = new Uint8Array(CHUNK_BYTES)
  const file = openSync(path, 'r')
  for (let lengthBytes = readSync(file, chunk); lengthBytes > 0; lengthBytes = readSync(file, chunk)) {
    parser.push(chunk.subarray(0, lengthBytes))
  }
  closeSync(file)
  return parser.end().set
}

const [black, white, output] = process.argv.slice(2)
const file = openSync(output, 'w')
for (const chunk of cidrChunks(subtractSet(readList(black), readList(white)))) {
  for (let written = 0; written < chunk.length; ) written += writeSync(file, chunk, written)
}
closeSync(file)
