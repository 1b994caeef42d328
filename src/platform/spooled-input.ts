import { mkdtemp, open, rmdir, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Writes the parts to a nameless private file and hands its descriptor, at offset 0, to `use`; the file is
 * gone when `use` has settled. A program that reads its input from there gets the whole of it or is not
 * started at all: neither a full disk nor the death of our process can hand it the first half, which is
 * what a pipe would do. Rejects with the system's error when the file cannot be written.
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
        // By position, so that the offset which the program inherits stays 0.
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
