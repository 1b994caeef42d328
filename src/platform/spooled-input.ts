import { mkdtemp, open, rmdir, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Writes the parts to an unnamed private file and passes its descriptor, at offset 0, to `use`; the file is
 * gone when `use` has settled. A program that reads its input from it gets all of it or is not started at
 * all: unlike with a pipe, neither a full disk nor the end of our process can leave it with the first half.
 * Rejects with the system's error when the file cannot be written.
 */
export async function withSpooledInput<Result>(
  parts: Iterable<Uint8Array>,
  use: (fd: number) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'spamdctl-'))
  const path = join(folder, 'input')
  const file = await open(path, 'wx+', 0o600).finally(async () => {
    await unlink(path).catch(() => undefined)
    await rmdir(folder)
  })
  try {
    let position = 0
    for (const part of parts) {
      let written = 0
      while (written < part.length) {
        // By position, so that the offset that the program inherits stays 0.
        const { bytesWritten } = await file.write(part, written, part.length - written, position)
        written += bytesWritten
        position += bytesWritten
      }
    }
    return await use(file.fd)
  } finally {
    await file.close()
  }
}
