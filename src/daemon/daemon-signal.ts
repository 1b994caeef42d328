/** What a Unix signal means to a daemon. */
export type DaemonSignal = 'stop' | 'reload' | 'statistics'

/** Calls the handler for every such signal of this process until the returned function is called. */
export function onDaemonSignal(handler: (signal: DaemonSignal) => void): () => void {
  const meanings: [NodeJS.Signals, DaemonSignal][] = [
    ['SIGTERM', 'stop'],
    ['SIGINT', 'stop'],
    ['SIGQUIT', 'stop'],
    ['SIGHUP', 'reload'],
    ['SIGUSR1', 'statistics'],
  ]
  // BSD only; Linux has no such signal.
  if (process.platform !== 'linux') meanings.push(['SIGINFO', 'statistics'])
  const listeners = meanings.map(([name, meaning]) => {
    const listener = (): void => handler(meaning)
    process.on(name, listener)
    return () => process.off(name, listener)
  })
  return () => {
    for (const remove of listeners) remove()
  }
}
