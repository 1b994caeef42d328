/** Who may have the Unix socket of spamd, and what its making may touch. */

import { once } from 'node:events'
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { listenOnPath } from '../../../../src/daemon/process/listen-on-path.js'
import { skipUnlessRoot } from '../../../support/skip-unless.js'

let folder: string
let path: string
let servers: Server[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'listen-on-path-'))
  path = join(folder, 'spamd.sock')
  servers = []
})
afterEach(() => {
  for (const server of servers) server.close()
  rmSync(folder, { recursive: true })
})

function newServer(): Server {
  const server = createServer((socket) => socket.end())
  servers.push(server)
  return server
}

test('the socket alone is in its folder, and it stays when the server closes', async () => {
  const server = newServer()
  const remove = await listenOnPath(server, path)
  expect(readdirSync(folder)).toEqual(['spamd.sock'])
  expect(lstatSync(path).mode & 0o777).toBe(0o660)
  server.close()
  await once(server, 'close')
  expect(readdirSync(folder)).toEqual(['spamd.sock'])
  remove()
  expect(readdirSync(folder)).toEqual([])
})

test('a second daemon is refused, and what it does at its end leaves the first one its socket', async () => {
  await listenOnPath(newServer(), path)
  const { ino } = lstatSync(path)
  await expect(listenOnPath(newServer(), path)).rejects.toMatchObject({
    code: 'ERR_CONTROL_SOCKET_TAKEN',
    message: `cannot listen on ${path}: another daemon is listening there`,
  })
  expect(readdirSync(folder)).toEqual(['spamd.sock'])
  expect(lstatSync(path).ino).toBe(ino)
})

test('two that start at once: one of them has the socket', async () => {
  const outcomes = await Promise.allSettled([newServer(), newServer()].map((one) => listenOnPath(one, path)))
  const winners = outcomes.filter(({ status }) => status === 'fulfilled')
  expect(winners.length).toBeLessThanOrEqual(1)
})

test('one that appears while ours is made is left alone, and ours is closed', async () => {
  const server = newServer()
  const listen = server.listen.bind(server)
  server.listen = ((...words: Parameters<typeof listen>) => {
    writeFileSync(path, 'of another')
    return listen(...words)
  }) as typeof listen
  await expect(listenOnPath(server, path)).rejects.toMatchObject({ code: 'ERR_CONTROL_SOCKET_TAKEN' })
  expect(server.listening).toBe(false)
  expect(readdirSync(folder)).toEqual(['spamd.sock'])
  expect(readFileSync(path, 'utf8')).toBe('of another')
})

test('a system that refuses is told with its reason, not as another daemon', async () => {
  const server = newServer()
  server.listen = (() => {
    const error = Object.assign(new Error('EMFILE'), { code: 'EMFILE', errno: -24, syscall: 'listen' })
    process.nextTick(() => server.emit('error', error))
    return server
  }) as typeof server.listen
  await expect(listenOnPath(server, path)).rejects.toMatchObject({
    code: 'ERR_CONTROL_SOCKET',
    message: `cannot listen on ${path}: Too many open files`,
  })
  expect(readdirSync(folder)).toEqual([])
})

test("another daemon's socket is not removed in place of one's own", async () => {
  const first = newServer()
  const remove = await listenOnPath(first, path)
  // Removed by hand, and another daemon started.
  unlinkSync(path)
  first.close()
  await once(first, 'close')
  const removeSecond = await listenOnPath(newServer(), path)
  remove()
  expect(readdirSync(folder)).toEqual(['spamd.sock'])
  removeSecond()
  expect(readdirSync(folder)).toEqual([])
})

test('with rights, a folder that others can write is refused and nothing is made there', async () => {
  chmodSync(folder, 0o777)
  await expect(listenOnPath(newServer(), path, { isPrivileged: true })).rejects.toMatchObject({
    code: 'ERR_CONTROL_SOCKET',
    message: `cannot listen on ${path}: ${folder} can be written by every user, who could misuse our privileges on other files`,
  })
  expect(readdirSync(folder)).toEqual([])
  chmodSync(folder, 0o700)
  await listenOnPath(newServer(), path, { isPrivileged: true })
})

test('a symbolic link is not followed: nothing is made or changed where it leads', async () => {
  const target = join(folder, 'target')
  writeFileSync(target, 'x', { mode: 0o600 })
  symlinkSync(target, path)
  await expect(listenOnPath(newServer(), path)).rejects.toThrow('exists and is not a socket')
  expect(lstatSync(target).mode & 0o777).toBe(0o600)
})

test.skipIf(skipUnlessRoot('a socket is given to another group'))(
  'as root, the group is that of the user from the first moment',
  async () => {
    await listenOnPath(newServer(), path, { gid: 65_534, isPrivileged: true })
    expect(lstatSync(path)).toMatchObject({ uid: 0, gid: 65_534 })
    expect(process.getegid!()).toBe(0)
  },
)

test('a relative path works, whose own name looks like a number', async () => {
  const previous = process.cwd()
  process.chdir(folder)
  try {
    const remove = await listenOnPath(newServer(), 'spamd.sock')
    await expect(listenOnPath(newServer(), 'spamd.sock')).rejects.toMatchObject({
      code: 'ERR_CONTROL_SOCKET_TAKEN',
    })
    remove()
    expect(readdirSync(folder)).toEqual([])
  } finally {
    process.chdir(previous)
  }
})
