// Lets the garbage collector free databases and statements between two events. If better-sqlite3 and this Node are
// incompatible (src/platform/native/object-wrap.h), this ends the process with a signal.
import Database from 'better-sqlite3'

let rounds = 0
const timer = setInterval(() => {
  const database = new Database(':memory:')
  for (let count = 0; count < 50; count += 1) database.prepare('SELECT 1').get()
  database.close()
  const junk = []
  for (let count = 0; count < 100_000; count += 1) junk.push({ count })
  if (rounds % 5 === 0) globalThis.gc()
  rounds += 1
  if (rounds === 25) clearInterval(timer)
}, 1)
